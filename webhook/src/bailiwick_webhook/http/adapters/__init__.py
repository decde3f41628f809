"""Adapters: what proxies and gateways ask, each in its own words, one contract a module.

Holds: allow is exactly 200 and a denial 401 or 403, whatever happens; a call is read in one way or refused; the proxy
proves itself, and `Authorization` is its client's.
"""
