"""Reports on predictions of recorded data: scores, tables and pictures, by the kind of a workload's truth."""
