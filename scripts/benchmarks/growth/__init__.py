"""How latency grows with arms and with the journal."""
