"""Objects: the newest state that was heard of a policy and that is not compiled, as the text that is kept of it.

Standing: under the policy controller, which compiles it; `data` and the summaries have parts of it. Holds: an object is
kept as text, which takes a fifth of the memory that it takes parsed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from bailiwick_engine.budget.ledger import Claim, policy_claim
from bailiwick_engine.policy.model import BrokenPolicy
from bailiwick_engine.policy.replacements import replaced_by
from bailiwick_policystore.endpoints import Key, Place

Object = dict[str, Any]
# What is looked at of an object, and nothing else: who wrote which field is half of a stored one.
_METADATA: Final = ("namespace", "name", "uid", "generation", "creationTimestamp", "deletionTimestamp")


@dataclass(frozen=True, slots=True)
class HeardPolicy:
    """The newest state of a policy. `text`: the object; `denies`: what is kept of one that is over budget, instead.

    It is gone where it has neither. `place`: where it speaks, None where it is gone. `candidate`: no answer depends on
    it.
    """

    key: Key
    uid: object = None
    generation: object = None
    text: bytes | None = None
    denies: BrokenPolicy | None = None
    claim: Claim | None = None
    place: Place | None = None
    candidate: bool = False

    @property
    def gone(self) -> bool:
        """The object was deleted."""
        return self.text is None and self.denies is None

    def is_state_of(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether this is the state of an object; where that is unknown, it is not."""
        return not self.gone and is_state_of(self.uid, self.generation, metadata)


def is_state_of(uid: object, generation: object, metadata: Mapping[str, Any]) -> bool:
    """Tell whether an object is in this state, by its metadata; where that is unknown, it is not."""
    return bool(uid) and (uid, generation) == (metadata.get("uid"), metadata.get("generation"))


def heard_policy(key: Key, obj: Mapping[str, Any]) -> HeardPolicy:
    """Return the state that an object is."""
    metadata, spec = obj["metadata"], obj.get("spec")
    text = orjson.dumps(spec)
    endpoint = spec.get("endpoint") if isinstance(spec, dict) else None
    return HeardPolicy(
        key,
        metadata.get("uid"),
        metadata.get("generation"),
        text_of(obj, text),
        claim=policy_claim(obj, text),
        place=(key[0], endpoint if isinstance(endpoint, str) else None),
        candidate=replaced_by(spec) is not None,
    )


def withheld_policy(key: Key, denies: BrokenPolicy) -> HeardPolicy:
    """Return the state of a policy that was compiled and is over budget now: what is kept of it denies."""
    ref, place = denies.ref, (key[0], denies.endpoint)
    candidate = denies.replaces is not None
    return HeardPolicy(key, ref.uid, ref.generation, denies=denies, place=place, candidate=candidate)


def text_of(obj: Mapping[str, Any], spec: bytes) -> bytes:
    """Return an object as it is kept, of which this is the spec as JSON."""
    metadata = {name: obj["metadata"][name] for name in _METADATA if name in obj["metadata"]}
    return b'{"metadata":%s,"spec":%s}' % (orjson.dumps(metadata), spec)
