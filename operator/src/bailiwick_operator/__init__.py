"""The operator: writes the status of the three kinds, stamps approvals, and proves that the guards are in force.

Holds: one process of an installation leads at a time (Lease); only the leader writes; nothing here decides a request.
"""
