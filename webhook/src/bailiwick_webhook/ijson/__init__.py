"""I-JSON (RFC 7493): the strict reader, and the fast proof that a body needs no strict reading.

Standing: under `http`, `identity` and `admission`. Holds: both give the same values, or the strict one refuses.
"""
