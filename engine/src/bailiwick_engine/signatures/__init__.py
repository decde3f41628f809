"""Signatures: reviews that a person signed with a key of their own, and the file that says whose key is whose.

Standing: below `approval`, which counts reviews by it; operator, decision point, audit and console verify with it.
Holds: no clock, no file, no network; what is malformed, ambiguous or unknown verifies nothing. Source: OpenSSH's
PROTOCOL.sshsig, PROTOCOL.u2f and the ALLOWED SIGNERS section of ssh-keygen(1).
"""
