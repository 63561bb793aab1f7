"""Rules that are fitted for comparison with the models, see `training.baselines.base`."""
