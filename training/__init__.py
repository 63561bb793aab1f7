"""From data sources to registered bundles; and the bundle format, which serving reads too."""
