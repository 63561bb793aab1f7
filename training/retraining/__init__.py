"""Train again on what the journal holds, and judge the result before it serves."""
