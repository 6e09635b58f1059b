"""Measurements of time and memory; run from the repository root, see README.md."""
