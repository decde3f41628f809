"""Histories: what of them the operator does, which is to delete what counts no more.

Standing: beside `guard`. Holds: nothing here reads what a history has counted.
"""
