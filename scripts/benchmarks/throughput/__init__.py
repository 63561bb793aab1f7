"""Rows and windows a second of a system that runs."""
