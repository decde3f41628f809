"""What `unused` remembers between two runs, and how it prints usage.

Holds: nothing is decided here.
"""
