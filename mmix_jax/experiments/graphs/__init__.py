"""Tasks on sets of graphs."""
