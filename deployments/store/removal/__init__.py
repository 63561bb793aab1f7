"""Rows that are deleted on purpose."""
