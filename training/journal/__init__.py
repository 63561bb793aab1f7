"""What a running system has been told was true, as training data."""
