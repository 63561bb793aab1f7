"""When a workload is trained again: requests, the state of a retraining, and the jobs that do it."""
