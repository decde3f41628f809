"""I-JSON (RFC 7493): the strict reader, and the fast proof that a body needs no strict reading.

Standing: under bodies of requests and reviews, and under tokens. Holds: both give the same values, or the strict one
refuses.
"""
