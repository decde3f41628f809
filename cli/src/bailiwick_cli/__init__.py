"""The command line, `kubectl bailiwick`: for whoever asks for approvals, gives them, and writes policies."""
