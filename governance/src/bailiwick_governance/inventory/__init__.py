"""Inventory: what coverage looks at, read from an API server as one person, and from descriptions of APIs and tools.

Standing: over `bailiwick_coverage`. Holds: nothing is decided here, and nothing is written.
"""
