"""What kinds of things can be predicted, one a file: how each is learnt, calibrated and answered."""
