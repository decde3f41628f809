"""Shares: who may have how much of connections, requests under way, body bytes and decisions.

Standing: under `transport` and `authzen`. Holds: what others than enforcers have never takes from what enforcers have.
"""
