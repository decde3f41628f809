"""The loop of a controller: what is known, what is to be looked at and when, and what is written.

Standing: under all that looks. Holds: one look at a key at a time; a status is written only where it differs.
"""
