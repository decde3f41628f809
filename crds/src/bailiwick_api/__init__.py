"""The three custom resources, their guards and their RBAC: the source of truth that everything else is generated from.

Holds: nothing here uses a network or reads the time, but for `serverclock`; only `generate` writes the YAML in `crds/`.
"""
