"""A real Kubernetes control plane as plain processes, for tests and the demo.

Standing: test bed only; nothing that ships imports it. The package itself imports nothing, so that its
small helpers start fast: take what you need from its modules (`localcluster.controlplane`, `.access`).
"""
