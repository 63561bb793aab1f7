"""Start, watch and stop a system: models, Ray, Serve."""
