"""Encoders and heads: Flax modules whose `apply` is pure."""
