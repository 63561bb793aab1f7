"""From bytes to validated instances and truths."""
