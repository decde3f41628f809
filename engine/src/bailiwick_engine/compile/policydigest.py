"""Policy digest: what a policy says, as one hash; a decision's record and the policy's status name it.

Holds: `sha256:` and the hex SHA-256 of the canonical form (RFC 8785) of the spec with its defaults written out; it is
made an entry of a long list a step, since one policy may hold a million characters.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from bailiwick_api.kinds.endpointpolicy import CeilingEntry, Delegation, EndpointPolicySpec, EndpointSettings, Rule
from bailiwick_api.kinds.httproutes import HttpSettings
from bailiwick_engine.canonicaljson import canonical
from bailiwick_engine.steps import Steps

# Of conditions, ids and routes: what all of them come to takes a millisecond.
_FEW: Final = 32
_LONG: Final[Mapping[type[BaseModel], frozenset[str]]] = {
    EndpointPolicySpec: frozenset({"rules", "endpoint_settings"}),
    EndpointSettings: frozenset({"delegation", "http"}),
    Delegation: frozenset({"ceiling"}),
    HttpSettings: frozenset({"routes"}),
}
"""Lists that may be long, and what leads to them."""


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
    """Yield the canonical text in parts, each an entry of a long list or less; of a small policy all of it."""
    if _is_small(spec):
        yield canonical(spec.model_dump(mode="json", exclude_none=True))
    else:
        yield from _parts_of(spec)


def _parts_of(model: BaseModel) -> Iterator[bytes]:
    """Yield the canonical text of a model: its members by their names, all of ASCII, as RFC 8785 has it."""
    long = _LONG.get(type(model), frozenset())
    fields = type(model).model_fields
    members = model.model_dump(mode="json", exclude_none=True, exclude=set(long))
    apart = {fields[name].alias or name: held for name in long if (held := getattr(model, name)) is not None}
    text, between = b"{", b""
    for name in sorted({*members, *apart}):
        text += between + canonical(name) + b":"
        between = b","
        if name in members:
            text += canonical(members[name])
            continue
        yield text
        held = apart[name]
        if isinstance(held, list):
            text = b"["
            for entry in held:
                yield text + b"".join(_parts_of(entry))
                text = b","
            text = b"]" if held else b"[]"
        else:
            yield from _parts_of(held)
            text = b""
    yield text + b"}"


def _is_small(spec: EndpointPolicySpec) -> bool:
    settings = spec.endpoint_settings
    ceiling = settings.delegation.ceiling if settings is not None and settings.delegation is not None else []
    count = len((settings.http.routes if settings is not None and settings.http is not None else None) or ())
    entries: list[Rule | CeilingEntry] = [*spec.rules, *ceiling]
    for entry in entries:
        count += len(entry.conditions or ()) + sum(len(resource.ids) for resource in entry.resources)
    return count <= _FEW
