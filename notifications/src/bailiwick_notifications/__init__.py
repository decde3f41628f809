"""What people are told outside the cluster: which moments of a grant, in which words, to which targets, how often.

Standing: above the engine, below the operator, which tells, and the command line, which tries targets out. Holds: no
argument of a call, no token, nothing that somebody wrote as a reason and no display value is in a notification; no
notification can approve anything. All but `sending` is pure.
"""
