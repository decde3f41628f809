"""The access review: per identity everything that it may do, what it used, and how that could be narrowed.

Holds: what somebody may do is what `what-can` says; what is proposed is what `suggest` would print, or nothing.
"""
