"""Recordings played against a system, and what comes of it."""
