"""The three custom resources, their guards and their RBAC: the source of truth that everything else is generated from.

Holds: nothing here talks to a network or reads a clock; the YAML under `crds/` is written by `generate` alone.
"""
