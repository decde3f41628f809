"""How Bailiwick speaks to the API server: one set of rules for decision point, operator and command line.

Standing: above `bailiwick_api`, beside the engine, which must not reach it. What is pure (paths, responses, pages) is
for all three; `connections` opens them, and is for the two processes.
"""
