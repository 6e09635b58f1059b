"""Training: a step, a loop, checkpoints and logs. Knows no model and no data set."""
