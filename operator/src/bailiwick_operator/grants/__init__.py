"""Grants: what becomes of an ApprovalGrant, and what the names in one written by hand stand for.

Standing: above `loop` and the pure rules in `reconcile`. Holds: nothing is counted or ended here that `reconcile`
does not say.
"""
