"""The way from bytes to validated instances and truths."""
