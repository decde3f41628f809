"""What the processes have in common: logs, what a metric is, rates, and how they read what issuers sign.

Standing: under the decision point, the operator, notifications and the command line. Holds: it knows nothing of
policies, decisions or the API server.
"""
