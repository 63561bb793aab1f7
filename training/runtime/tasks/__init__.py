"""Tasks, the kinds of predictions, one a file: how each is learnt, calibrated and answered."""
