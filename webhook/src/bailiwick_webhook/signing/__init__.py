"""Signing: our own keys, and the two tokens that are signed with them."""
