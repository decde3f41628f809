"""Over HTTP: what a request costs, beside peers and by itself."""
