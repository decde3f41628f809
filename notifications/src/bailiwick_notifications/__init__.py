"""Notifications outside the cluster: of which moments of a grant, in which words, to which targets, how often.

Standing: above the engine, below the operator, which notifies, and the command line, which tries targets out. Holds: no
argument of a call, no token, no reason that a person wrote and no display value is in a notification; no
notification can approve anything. All but `sending` is pure.
"""
