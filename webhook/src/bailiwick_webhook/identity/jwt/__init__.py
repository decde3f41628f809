"""Tokens of people and service accounts (RFC 7519): by the keys of their issuer, its rules and the time.

Standing: below who asks and who is asked about, over `bailiwick_process.jwt`. Holds: what is said here is whether a
token counts, never who it is.
"""
