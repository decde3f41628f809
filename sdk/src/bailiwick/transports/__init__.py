"""How a request reaches the decision point: one module for each HTTP library."""
