"""The Python part of each workload, named by its contract."""
