"""Policies and data from where they are: files, a revision of Git, test files, a namespace of the cluster.

Standing: under the commands. Holds: the engine compiles them as where they are served; what cannot be read is told.
"""
