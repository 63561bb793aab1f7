"""Retraining on the truths of the journal, with a gate that each result passes before it serves."""
