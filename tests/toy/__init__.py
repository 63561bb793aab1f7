"""A workload, a source and a family that are quick enough for tests."""
