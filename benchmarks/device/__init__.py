"""One plan for a machine with an accelerator that is at hand for minutes."""
