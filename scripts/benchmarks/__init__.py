"""Measurements beside other servers, of bursts, of growth, of scaling."""
