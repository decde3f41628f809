"""The command line, `kubectl bailiwick`: for people who request approvals, review them, or write policies."""
