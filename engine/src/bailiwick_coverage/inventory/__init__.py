"""Inventory: the facts about a cluster, read from its API server as one person or account.

Standing: above the findings. Holds: nothing is decided here, and nothing is written. A list that was refused is named,
and not empty. Who uses it brings the connection (`clusterreader`).
"""
