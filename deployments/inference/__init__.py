"""The way from a validated instance to an answer: choose an arm, call it, record its answer."""
