"""Many runs as one: what is missing of a plan is run, what is there is read, tables come of it."""
