"""What the decision point decides by, from lists and watches of the cluster or from files, and what it is compiled to.

Standing: under `approvals` and `pipeline`. `directory` reads files; everything else is of the cluster; `policies` has
the way from what was heard to the snapshot.
"""
