"""What is wrong with policies and data: as files say it, as the API server says it, and how it is printed.

Holds: a finding has its place; nothing that could not be asked about is passed over.
"""
