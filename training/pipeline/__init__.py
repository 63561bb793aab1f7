"""The training pipeline, from a source of data to registered models."""
