"""Inventory: what coverage looks at, read from an API server as one person, and from descriptions of APIs and tools.

Holds: nothing is decided here, and nothing is written. A list that was refused is named, and not empty.
"""
