"""How the command line prints verdicts and differences.

Standing: under the commands. Holds: data only; every text of others is escaped.
"""
