"""Notifies people outside the cluster, by the leader alone and beside everything else that it does.

Holds: to notify never waits; a target that is slow, hangs or fails delays neither a reconcile nor
another target; what is given up is counted and logged.
"""
