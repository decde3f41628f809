"""The client of the API server: one set of rules for decision point, operator and command line.

Standing: above `bailiwick_api`, beside the engine, which must not reach it. All three use the pure modules (paths,
responses, pages). `connections` opens sockets; only the two processes use it.
"""
