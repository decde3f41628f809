"""The serving certificate and the CA behind it: made, renewed, kept and published.

Standing: under the reconciler's process. Holds: a certificate is published before it is served with; what cannot be
read is never replaced without a word.
"""
