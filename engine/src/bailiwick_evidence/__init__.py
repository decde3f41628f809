"""Evidence: it makes logs of records verifiable, and reads such logs.

Standing: above the engine, below the decision point, the operator and the command line, which all use it. Holds: pure;
nothing here reads a clock, a file or a connection.
"""
