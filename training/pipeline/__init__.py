"""From a source of data to registered models."""
