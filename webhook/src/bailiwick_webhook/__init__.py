"""The policy decision point: the process that answers."""
