"""The demonstrations of `raysonde demo`, each on a system of its own."""
