"""Policy digest: what a policy says, as one hash; a decision's record and the policy's status name it.

Holds: `sha256:` and the hex SHA-256 of the canonical form (RFC 8785) of the spec with its defaults written out; it is
made a rule a step, since one policy may hold a million characters.
"""

import hashlib
from collections.abc import Iterator

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.approval.binding import canonical
from bailiwick_engine.steps import Steps

_RULES = "rules"
# Of conditions and of ids: what all of them come to takes a millisecond.
_FEW = 32


def policy_digest(spec: EndpointPolicySpec) -> Steps[str]:
    """Return the digest of a spec."""
    made = hashlib.sha256()
    for part in _parts(spec):
        made.update(part)
        yield
    return f"sha256:{made.hexdigest()}"


def policy_text(spec: EndpointPolicySpec) -> Steps[bytes]:
    """Return the canonical text of which `policy_digest` is the SHA-256: who has it can compile the policy again."""
    parts: list[bytes] = []
    for part in _parts(spec):
        parts.append(part)
        yield
    return b"".join(parts)


def _parts(spec: EndpointPolicySpec) -> Iterator[bytes]:
    """Yield the canonical text in parts, each a rule or less; of a small policy all of it."""
    if _is_small(spec):
        yield canonical(spec.model_dump(mode="json", exclude_none=True))
        return
    members = spec.model_dump(mode="json", exclude_none=True, exclude={_RULES})
    # By their names, which are all of ASCII, as RFC 8785 has it: those before the rules, the rules, those after them.
    before = canonical({name: value for name, value in members.items() if name < _RULES})
    after = canonical({name: value for name, value in members.items() if name > _RULES})
    yield before[:-1] + b',"rules":'
    between = b"["
    for rule in spec.rules:
        yield between + canonical(rule.model_dump(mode="json", exclude_none=True))
        between = b","
    yield b"]," + after[1:]


def _is_small(spec: EndpointPolicySpec) -> bool:
    count = 0
    for rule in spec.rules:
        count += len(rule.conditions or ())
        for entry in rule.resources:
            count += len(entry.ids)
    return count <= _FEW
