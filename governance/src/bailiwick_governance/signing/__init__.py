"""Signatures of reviewers as they come to be: a passkey's answers, what a person sends to a registrar, the keys file.

Standing: below `grants`; the engine says what counts, and nothing here decides it. Holds: what is handed on was
verified by the engine's own functions before.
"""
