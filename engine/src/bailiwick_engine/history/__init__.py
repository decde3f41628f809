"""Histories: what a call needs of them, and the state of a key that they are counted in.

Standing: over `policy`, whose `histories` are the definitions; `decision` is over it. Holds: pure; nothing here reads a
clock or an object.
"""
