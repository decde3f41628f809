"""What the processes have in common: how they log, what a metric is, and how much there may be in a second.

Standing: under the decision point, the operator, notifications and the command line. Holds: it knows nothing of
policies, decisions or the API server.
"""
