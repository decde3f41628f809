"""Usage: when policies were last used and what candidates came to, asked of each process of the decision point.

Standing: beside `policies`, by the client of `programmed`. Holds: it is a matter of status alone.
"""
