"""Layers that every request meets before an endpoint: limits of time, headers for browsers, readiness."""
