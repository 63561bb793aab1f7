"""`raysonde demo`: what the system does by itself, shown on a system of its own."""
