"""`make burst`: requests come in bursts, and replicas go out and come back.

The report is `docs/benchmarks/scaling.md`.
"""
