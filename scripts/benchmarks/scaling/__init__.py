"""`make scaling`: throughput by replicas and nodes, and what larger rates need. See `docs/scaling.md`."""
