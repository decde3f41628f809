"""The state of several clusters, asked as one person. Standing: above `health` and `sources`.

Holds: nothing is written in a cluster, and no cluster holds up another; what cannot be read is unknown, never good.
"""
