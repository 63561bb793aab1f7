"""Scoring whole files offline: what a running system would answer, for every row or window."""
