"""Tools: logs, policies and the console, on files and pages."""
