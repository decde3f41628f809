"""HTTP: each contract in a module of its own; all turn a request into a call and a verdict back into their words."""
