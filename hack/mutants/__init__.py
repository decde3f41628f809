"""Mutants of the engine: one small change at a time, to see whether a test goes red. `make mutants` plays them."""
