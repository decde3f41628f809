"""Programmed: whether every process of the decision point decides by a policy, asked of each.

Standing: below `policies`. Holds: an answer that did not come counts as no.
"""
