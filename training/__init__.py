"""From telemetry to bundles: sources, families, search, bands, registry."""
