"""What becomes of an answer and of a truth: the journal, the log, the counts."""
