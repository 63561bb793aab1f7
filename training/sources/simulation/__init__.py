"""Physics and plans behind the simulated sources."""
