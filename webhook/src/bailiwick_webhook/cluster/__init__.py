"""The decision point's only Kubernetes client."""
