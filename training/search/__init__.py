"""The search for hyperparameters, with Ray Tune."""
