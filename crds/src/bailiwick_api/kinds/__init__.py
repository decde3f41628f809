"""The kinds as pydantic models with their CEL rules: what `kubectl apply` sends.

Standing: under everything that reads or writes an object. Holds: only this package describes a field; schemas,
manifests and pages are generated from it.
"""
