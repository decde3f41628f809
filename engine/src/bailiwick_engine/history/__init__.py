"""Histories: what an endpoint counts, and the numbers that conditions read.

Standing: beside `approval`; `decision` is over it. Holds: pure; the state of a key is parsed, never written, here.
"""
