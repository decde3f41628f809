"""Registering a passkey: from a press of a button to the text that a registrar needs.

Standing: beside `access`. Holds: nothing is written anywhere; what is shown was verified first.
"""
