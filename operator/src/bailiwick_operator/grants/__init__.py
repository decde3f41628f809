"""Grants: reconciles ApprovalGrants, and resolves the names in those written by hand.

Standing: above `loop` and the pure rules in `reconcile`. Holds: only `reconcile` decides what is counted or ended.
"""
