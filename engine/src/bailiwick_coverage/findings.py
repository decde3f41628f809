"""Findings: what coverage says, each with a code, an object, a sentence and what fixes it.

Standing: over `facts`. Holds: a code is stable, and so is what `fail_on` names; a finding about an object with an
exemption is listed as exempt, and an exemption without a reason exempts nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from bailiwick_coverage.facts import ClusterFacts, Labels, ObjectRef

EXEMPTION: Final = "bailiwick.dev/coverage"
"""The annotation that exempts an object: `exempt: ` and why."""
_WORD: Final = "exempt"
Manifest = Mapping[str, object]


class CoverageCode(StrEnum):
    """What a finding is about."""

    UNPROTECTED = "unprotected"
    """No enforcement point stands before it."""
    AROUND = "around"
    """Something reaches it that is not its enforcement point."""
    UNRULED = "unruled"
    """It exists, and no rule names it."""
    UNGATED = "ungated"
    """It looks irreversible, and is allowed without an approval."""
    OVERPRIVILEGED = "overprivileged"
    """An account can do at the API server what no policy decides."""
    STALE = "stale"
    """It is not used, does not exist, or ends soon."""
    UNKNOWN = "unknown"
    """It could not be examined."""


_EXEMPTIBLE: Final = frozenset(CoverageCode) - {CoverageCode.UNKNOWN}


@dataclass(frozen=True, slots=True)
class CoverageFix:
    """What closes a finding: objects to apply, and what to consider first."""

    manifests: tuple[Manifest, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class CoverageFinding:
    """One finding. `detail` tells findings of one code and object apart. `fix` None: it is not an object to apply."""

    code: CoverageCode
    ref: ObjectRef
    sentence: str
    fix: CoverageFix | None = None
    detail: str = ""

    @property
    def order(self) -> tuple[int, ObjectRef, str]:
        """What it is sorted by."""
        return (list(CoverageCode).index(self.code), self.ref, self.detail)


@dataclass(frozen=True, slots=True)
class ExemptFinding:
    """A finding that an annotation takes out, with the reason that it gives."""

    finding: CoverageFinding
    reason: str


@dataclass(frozen=True, slots=True)
class ExemptionText:
    """What the annotation of an object says: the codes that it exempts, and why. A `defect`: it exempts nothing."""

    codes: frozenset[CoverageCode]
    reason: str
    defect: str = ""


def exemption(annotations: Labels) -> ExemptionText | None:
    """Parse the annotation; None if there is none.

    `exempt: REASON` exempts from every code, and `exempt CODE[,CODE]: REASON` from these. Unknown is never exempt.
    """
    text = annotations.get(EXEMPTION)
    if text is None:
        return None
    head, _, reason = text.partition(":")
    word, _, listed = head.strip().partition(" ")
    names = frozenset(one.strip() for one in listed.split(",") if one.strip())
    if word != _WORD or not names <= _EXEMPTIBLE:
        return ExemptionText(frozenset(), "", f"its annotation {EXEMPTION} is not `{_WORD} [CODE,...]: REASON`")
    if not reason.strip():
        return ExemptionText(frozenset(), "", f"its annotation {EXEMPTION} gives no reason, so it exempts nothing")
    return ExemptionText(frozenset(map(CoverageCode, names or _EXEMPTIBLE)), reason.strip())


def separate_exempt(
    findings: Iterable[CoverageFinding], facts: ClusterFacts
) -> tuple[tuple[CoverageFinding, ...], tuple[ExemptFinding, ...]]:
    """Return the findings that count, and those that annotations take out."""
    annotations = _annotations(facts)
    counted: list[CoverageFinding] = []
    exempt: list[ExemptFinding] = []
    for one in findings:
        text = exemption(annotations.get(one.ref, {}))
        if text is not None and text.defect:
            counted.append(replace(one, sentence=f"{one.sentence} ({text.defect})"))
        elif text is not None and one.code in text.codes:
            exempt.append(ExemptFinding(one, text.reason))
        else:
            counted.append(one)
    return tuple(counted), tuple(exempt)


def _annotations(facts: ClusterFacts) -> dict[ObjectRef, Labels]:
    found: dict[ObjectRef, Labels] = {one.ref: one.annotations for one in facts.services}
    found |= {one.ref: one.annotations for one in facts.routes}
    found |= {one.ref: one.annotations for one in facts.policies}
    accounts = {ObjectRef("ServiceAccount", *place): held for place, held in facts.accounts.items()}
    return found | accounts
