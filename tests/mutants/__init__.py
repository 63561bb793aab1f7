"""Whether the unit tests notice a fault: `make mutants` (docs/decisions has why it is done like this)."""
