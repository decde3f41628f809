"""What the OpenAPI document of the decision point is made of: shapes of bodies, and operations.

Holds: nothing here writes; `generate_openapi` does, and holds what is there against it.
"""
