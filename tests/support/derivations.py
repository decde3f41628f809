"""Records derived again: policy texts by digest, and what a record comes to."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bailiwick_engine.compile.policies import parse_spec
from bailiwick_engine.compile.policydigest import policy_digest, policy_text
from bailiwick_engine.steps import whole
from bailiwick_evidence.derive.derivation import Derivation, DerivationClass
from bailiwick_evidence.derive.derive import derive
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_evidence.linekinds import DECISIONS

HOLDS: Final = frozenset({DerivationClass.DERIVED, DerivationClass.ATTESTED})


def texts_of(specs: Iterable[object]) -> PolicyTexts:
    """Return the texts of these specs as the API server stores them; one that cannot be read has none."""
    texts = PolicyTexts()
    for spec in specs:
        add_spec(texts, spec)
    return texts


def add_spec(texts: PolicyTexts, spec: object) -> None:
    parsed = parse_spec(spec)
    if not isinstance(parsed, tuple):
        texts.add(whole(policy_digest(parsed)), whole(policy_text(parsed)))


def derivations(lines: Iterable[str | bytes], texts: PolicyTexts) -> list[tuple[Mapping[str, Any], Derivation]]:
    """Return what each record of a decision comes to."""
    found = []
    for line in lines:
        record = json.loads(line)
        if record.get("kind") == "policies":
            texts.add_list(record)
        elif record.get("kind") in DECISIONS:
            found.append((record, derive(record, texts)))
    return found
