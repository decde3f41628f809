"""The process: flags, settings and logs.

Standing: under `main`. Holds: decides nothing.
"""
