"""The loop of a controller: the objects that are known, the keys to reconcile and when, and the writes.

Standing: under every controller, over `kube` and the pure rules of `reconcile`; `grantsurvey` is for two rooms alone.
Holds: a key is reconciled by one worker at a time; a status is written only where it differs.
"""
