"""One run on several processes, each with its own devices: start, exchange, and what ends them."""
