"""What this machine is asked for: processor cores, processes, ports, signals."""
