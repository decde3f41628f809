"""Policies: compiled by namespace in turn, within their budgets.

Standing: above `loop` and the engine. Holds: no namespace's policies hold up another's.
"""
