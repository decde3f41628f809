"""Coverage in metrics: how many findings of each code there are in the cluster.

Holds: off unless the installation wants it. The evaluator is the one that the command line shows. It runs in a process
of its own, so that nothing else of the operator waits for it.
"""
