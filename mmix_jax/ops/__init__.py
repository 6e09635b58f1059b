"""Floor one: segment operations, safe normalisation, collectives."""
