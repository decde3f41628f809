"""Budget: what policies take once they are compiled, estimated from their text, and which are over.

Standing: under decision point, operator, admission and command line. Holds: pure; the same policies give the same
result everywhere.
"""
