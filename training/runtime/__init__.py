"""The part of training that a replica may load: bundles, inference, regions, and their settings."""
