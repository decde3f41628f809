"""Replay: what the serving engine would have decided on a recorded call under other policies.

Holds: a record that its own policies do not reproduce is not evidence. An attribute that is not in the record is never
taken to be absent.
"""
