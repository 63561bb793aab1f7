"""Training, from data sources to registered bundles, and the bundle format that serving reads too."""
