"""Policy digest: what a policy says, as one hash; a decision's record and the policy's status name it.

Holds: `sha256:` and the hex SHA-256 of the canonical form (RFC 8785) of the spec with its defaults written out; it is
made a rule a step, since one policy may hold a million characters.
"""

import hashlib

from bailiwick_api.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.binding import canonical
from bailiwick_engine.steps import Steps

_RULES = "rules"


def policy_digest(spec: EndpointPolicySpec) -> Steps[str]:
    """Return the digest of a spec."""
    members = spec.model_dump(mode="json", exclude_none=True, exclude={_RULES})
    yield
    made = hashlib.sha256()
    between = b"{"
    # By their names, which are all of ASCII, as RFC 8785 has it.
    for name in sorted((*members, _RULES)):
        made.update(between + canonical(name) + b":")
        between = b","
        if name != _RULES:
            made.update(canonical(members[name]))
            continue
        opening = b"["
        for rule in spec.rules:
            made.update(opening + canonical(rule.model_dump(mode="json", exclude_none=True)))
            opening = b","
            yield
        made.update(b"]")
    made.update(b"}")
    return f"sha256:{made.hexdigest()}"
