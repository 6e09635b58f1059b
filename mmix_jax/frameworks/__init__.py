"""Frameworks join encoders, mixing, heads and losses into one `loss_fn`."""
