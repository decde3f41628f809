"""Programmed: asks each process of the decision point whether it decides by a policy.

Standing: below `policies`. Holds: a missing answer counts as no.
"""
