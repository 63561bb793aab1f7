"""Growth of latency with arms and with the journal."""
