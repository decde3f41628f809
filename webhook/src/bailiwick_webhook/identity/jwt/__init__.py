"""JSON Web Tokens: read strictly, and verified by the keys that their issuer publishes (RFC 7515, 7517, 7519).

Standing: below who asks and who is asked about. Holds: what is said here is whether a token counts, never who it is.
"""
