"""What is applied to a cluster, from the models: CRDs, guards, roles, the webhook configuration, schemas for editors.

Standing: above `kinds`. Holds: `crds/` is generated from here, and `make verify` fails on a difference.
"""
