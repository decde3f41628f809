"""Adapters: what proxies, gateways and the API server ask, each in its own words, one contract a module.

Holds: a call is read in one way or refused. To a proxy, allow is exactly 200 and a denial 401 or 403, whatever happens;
the proxy proves itself, and `Authorization` is its client's. To the API server (`authorize`, `enforce`) the status is
200, and the body has the answer.
"""
