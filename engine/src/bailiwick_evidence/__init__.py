"""Evidence: what makes a log of records prove itself, and what reads such a log.

Standing: above the engine, below the decision point, the operator and the command line, which all three use it. Holds:
pure; nothing here reads a clock, a file or a connection.
"""
