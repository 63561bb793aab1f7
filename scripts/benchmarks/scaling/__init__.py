"""`make scaling`: throughput by replicas and nodes, and what larger rates need.

The report is `docs/benchmarks/scaling.md`.
"""
