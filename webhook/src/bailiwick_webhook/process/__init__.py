"""The process: flags, settings, workers, heartbeats and logs.

Standing: under `main`. Holds: decides nothing.
"""
