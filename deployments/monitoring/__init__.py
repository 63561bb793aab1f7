"""Watching one workload: rolling metrics, drift, and the levels of its regions, all read off the journal."""
