"""Floor one: arrays and numbers as callers give them, segment operations, norms, collectives."""
