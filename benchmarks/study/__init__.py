"""When does mixing help? Its sweeps, and the page of their tables."""
