"""Signals of issuers: security events that stop people, received by poll and stored as SubjectRevocation objects.

Standing: beside `guard` and `histories`, over the pure rules in `reconcile`. Holds: a signal only ever denies, and only
people of the issuer that signed it; no signal and no lack of one denies anybody else.
"""
