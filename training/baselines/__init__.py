"""Rules that are fitted for comparison with the models, see `training.baseline`."""
