"""The process: leadership, health, metrics and logs.

Standing: under `main`. Holds: decides nothing.
"""
