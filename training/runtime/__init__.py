"""What a replica may load: bundles, inference, regions, and their settings."""
