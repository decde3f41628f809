"""Policies and data from where they are: files, a namespace of the cluster, two states that are compared.

Holds: the engine compiles them as where they are served; what cannot be read is reported.
"""
