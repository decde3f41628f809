"""The status port: health, readiness, metrics, and what other processes ask about policies.

Standing: beside the decision paths. Holds: requires no authentication, tells no secret, and never costs more than its
ration.
"""
