"""The kinds as pydantic models, and the CEL rules that hang on them: what `kubectl apply` sends.

Standing: under everything that reads or writes an object. Holds: a field is described here alone, and schemas,
manifests and pages are generated from it.
"""
