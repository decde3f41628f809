"""A node for the control plane: real pods, Services and cluster DNS, in namespaces of its own.

Standing: beside `controlplane`, which knows nothing of it. Take `NodeCluster` from `localcluster.node.cluster`.
"""
