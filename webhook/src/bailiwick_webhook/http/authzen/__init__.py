"""AuthZEN 1.0 and its approval profile (ARAP, draft) over HTTP: one contract a module.

Standing: above `transport` and `shares`, under `app`. Holds: a body is read strictly, and only after who asks has a
slot.
"""
