"""Programs that `python -m` starts inside of a system."""
