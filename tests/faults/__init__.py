"""`make faults`: parts of the loop are killed at each of its stages, and it ends as it would have without."""
