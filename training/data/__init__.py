"""Rows of training data and how they are split."""
