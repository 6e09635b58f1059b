"""Experiments join data and model; the only readers of a config."""
