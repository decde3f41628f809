"""One log of the checkpoints of all clusters, in the form of C2SP tlog-tiles: read, and never written.

Standing: above `audit`, whose book of checkpoints it fills; the command line gives it files. Holds: an entry counts by
the cosignature in it, and the log shows that no entry is gone.
"""
