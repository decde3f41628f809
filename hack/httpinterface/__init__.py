"""What the OpenAPI documents of the decision point are made of: for each port, shapes of bodies and operations.

Holds: nothing here writes; `generate_openapi` does, and holds what is there against it.
"""
