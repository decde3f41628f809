"""What the page of conditions is made of: a call, expressions about it, and what the engine says of each.

Holds: nothing here writes; `generate_cel_reference` does, and holds what is there against it.
"""
