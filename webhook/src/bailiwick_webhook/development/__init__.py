"""Development: grants in memory, for a decision point with `--development` and no cluster.

Standing: beside `approvals`, whose opener and consumer use these grants as they use the API server's. Holds: nothing
but `main` and `process.standalone` imports this room or what serves it, and those only with `--development`. What is
approved here protects nothing, because anyone who can connect can review.
"""
