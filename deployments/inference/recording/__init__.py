"""Records of answers and truths: the journal, the log, the counts."""
