"""The manifests of a cluster, from the models: CRDs, guards, roles, the webhook configuration; and editor schemas.

Standing: above `kinds`. Holds: `crds/` is generated from here, and `make verify` fails on a difference.
"""
