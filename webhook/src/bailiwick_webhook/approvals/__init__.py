"""Approvals: grants as the decision point writes them: opened, throttled, looked at and used.

Standing: under `pipeline`, above `store` and `cluster`. Holds: a use is taken exactly once, or the call is denied.
"""
