"""The suite of `make faults`: parts of the loop are killed at each stage, and it ends as without."""
