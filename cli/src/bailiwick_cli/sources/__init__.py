"""Policies and tests from where flags say that they are: a revision of Git, test files, files or a namespace in force.

Standing: under the commands. Holds: what cannot be read is an error, and never an empty answer.
"""
