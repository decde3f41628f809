"""How commands come to their names and help: the groups, the console, the commands on logs, and the registration.

Standing: between `main` and the commands. Holds: as `main`, a command imports what it needs only when it runs.
"""
