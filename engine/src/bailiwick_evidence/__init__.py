"""Evidence: what the log of decisions proves, to whoever has nothing but the log.

Standing: above the engine, below decision point, operator and command line. Holds: pure; nothing here reads a file, a
clock or a network.
"""
