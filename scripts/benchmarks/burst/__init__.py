"""`make burst`: requests come in bursts, and replicas go out and come back. See `docs/scaling.md`."""
