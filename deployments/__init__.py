"""Serving: the graph of a workload on Ray Serve, the journal, and the pure parts that they are made of."""
