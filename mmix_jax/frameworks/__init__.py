"""Frameworks join encoders, mixing, heads and losses into `loss_fn(params, batch_stats, batch, key)`."""
