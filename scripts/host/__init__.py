"""The machine that a system runs on: processor cores, processes, ports, signals."""
