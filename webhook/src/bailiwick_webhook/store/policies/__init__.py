"""Policies and data on their way into force: heard of, read, compiled in turn, within budgets, swapped by endpoint.

Standing: under `store`; `sink` is what lists and watches fill. Holds: what is heard of
and is not in force is known by its age.
"""
