"""Two states of policies, read from files and compiled once where they say the same.

Standing: above `policies`, for `diff`. Holds: a state with a policy that cannot be read is none: nothing is compared. A
file that is the same on both sides is left out only where no byte of it can speak of what changed, and all of it is
within the budget of its side.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_api.documents.policyfiles import File
from bailiwick_api.documents.positions import Document
from bailiwick_cli import output
from bailiwick_cli.errors import CliError
from bailiwick_cli.sources.filetext import FileText, NamedClaim
from bailiwick_cli.sources.policies import ledger_of
from bailiwick_engine import keys
from bailiwick_engine.budget.ledger import Budget, Ledger
from bailiwick_engine.compile import manifests
from bailiwick_engine.compile.assembly import assemble
from bailiwick_engine.compile.manifests import ManifestEntry, ManifestFile
from bailiwick_engine.policy.model import CompiledPolicy, CompiledRule
from bailiwick_engine.steps import whole

Named = Sequence[tuple[str, File]]
_PLACE: Final = re.compile(r":(\d+):(\d+)$")


@dataclass(frozen=True, slots=True)
class RulePlace:
    """Where a rule stands, line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return `file:line:column`."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class _Part:
    """One document and what it came to."""

    label: str
    document: Document
    contents: ManifestFile


class PolicySide:
    """One state. `left_out` counts the files of which nothing can matter; `data` are the objects of data, `ns/name`."""

    def __init__(self, parts: Sequence[_Part], left_out: int) -> None:
        self._parts = parts
        self.left_out = left_out
        self.entries = [entry for part in parts for entry in part.contents.entries]
        self.data = [one for part in parts for one in part.contents.data]
        self.snapshot, self._reports = whole(assemble(self.entries, "", self.data))
        self.data_named = frozenset(one.named for one in self.data)

    @property
    def namespaces(self) -> set[str]:
        """The namespaces of what was read."""
        return {entry.ref.namespace for entry in self.entries if entry.ref.namespace}

    def refuse_broken(self, side: str, purpose: str = "compared") -> None:
        """Tell what cannot be read, and raise `CliError` if anything is denied for it that was written."""
        unread = [entry for entry in self.entries if entry.problems]
        whole_ = [one for one in self.snapshot.endpoints.values() if one.conflicted or one.denied_whole or one.broken]
        for report in self._reports:
            output.talk(f"{'error' if unread or whole_ else 'warning'}: {report.problem}; this denies {report.denies}")
        if unread or whole_ or self.snapshot.unreadable:
            raise CliError(f"the policies of the {side} cannot be {purpose}: fix the problems above")

    def place(self, rule: CompiledRule) -> RulePlace | None:
        """Return where a rule stands; its policy, where the rule itself cannot be found."""
        for part in self._parts:
            for entry in part.contents.entries:
                if (entry.ref.namespace, entry.ref.name) == (rule.policy.namespace, rule.policy.name):
                    return _place(part, entry, rule.name)
        return None


def read_sides(base: Named, head: Named) -> tuple[PolicySide, PolicySide]:
    """Read both states, each within one budget. What stands on both sides word by word is parsed and compiled once."""
    same = {file.digest for _, file in base if not file.unreadable} & {file.digest for _, file in head}
    texts: dict[str, FileText] = {}
    for _, file in (*base, *head):
        if file.digest not in texts:
            texts[file.digest] = FileText(file)
    ledgers = [_ledger(side, texts, same) for side in (base, head)]
    changed = [
        [part for label, file in side if file.digest not in same for part in _parts(label, file, texts, ledger)]
        for side, ledger in zip((base, head), ledgers, strict=True)
    ]
    words = _Words.of(entry for side in changed for part in side for entry in part.contents.entries)
    # By the side too, where somebody is over: what is withheld on one need not be on the other.
    read: dict[tuple[str, int], tuple[_Part, ...]] = {}
    sides: list[PolicySide] = []
    for at, (side, own, ledger) in enumerate(zip((base, head), changed, ledgers, strict=True)):
        parts, left_out, key = list(own), 0, -1 if ledger is None else at
        for label, file in side:
            if file.digest not in same:
                continue
            if words is not None and ledger is None and not words.may_speak(file.content):
                left_out += 1
                continue
            if (file.digest, key) not in read:
                read[file.digest, key] = tuple(_parts(label, file, texts, ledger))
            parts += read[file.digest, key]
        sides.append(PolicySide(parts, left_out))
    return sides[0], sides[1]


def _ledger(side: Named, texts: Mapping[str, FileText], same: Collection[str]) -> Ledger | None:
    """Return who is over the budget of this side; None where nobody is.

    A policy that is over the budget of its namespace is so for all others there, also for those that did not change.
    """
    read = [texts[file.digest] for _, file in side]
    quick = [one for text in read for one in (text.quick if text.digest in same else text.claims)]
    if not _over(ledger_of(quick), quick):
        return None
    exact = [one for text in read for one in text.claims]
    found = ledger_of(exact)
    return found if _over(found, exact) else None


def _over(ledger: Ledger, claims: Iterable[NamedClaim]) -> bool:
    return any(ledger.excess(namespace, claim.name) is not None for namespace, claim in claims)


def _parts(label: str, file: File, texts: Mapping[str, FileText], ledger: Ledger | None) -> Iterator[_Part]:
    if file.unreadable is not None:
        yield _Part(label, Document(None, complete=False), manifests.unreadable(label, file.unreadable))
        return
    for document in texts[file.digest].documents:
        yield _Part(label, document, whole(manifests.contents(label, document, ledger or Ledger(Budget()))))


@dataclass(frozen=True, slots=True)
class _Words:
    """What a file must hold that speaks of an endpoint that changed, and of somebody of whom the changes speak."""

    policies: tuple[bytes, ...]
    endpoints: tuple[bytes, ...]
    subjects: tuple[tuple[bytes, ...], ...]

    @classmethod
    def of(cls, entries: Iterable[ManifestEntry]) -> "_Words | None":
        """Return them; None where a policy does not say: then every file may matter."""
        policies: set[str] = set()
        endpoints: set[str] = set()
        subjects: set[tuple[bytes, ...]] = set()
        for entry in entries:
            policy = entry.policy
            # Settings speak of everybody.
            if not isinstance(policy, CompiledPolicy):
                return None
            policies.add(policy.ref.name)
            endpoints.add(policy.endpoint)
            for key in {key for rule in policy.rules for key in rule.subjects}:
                kind, *parts = keys.spelled(key)
                # A group of one issuer may be of a person whom another group's rules speak of.
                named = parts[1:] if kind == "entity" else parts[:1]
                if kind == keys.SERVICE_ACCOUNT:
                    named = parts[0].split(":")[-2:]
                subjects.add(tuple(part.encode() for part in named))
        return cls(
            tuple(name.encode() for name in policies), tuple(name.encode() for name in endpoints), tuple(subjects)
        )

    def may_speak(self, content: bytes) -> bool:
        """Tell whether a file may. With an escape in it a name can be spelled in any way."""
        if b"\\" in content or b"EndpointData" in content or any(name in content for name in self.policies):
            return True
        if not any(name in content for name in self.endpoints):
            return False
        return b"endpointSettings" in content or any(all(part in content for part in parts) for parts in self.subjects)


def _place(part: _Part, entry: ManifestEntry, rule: str) -> RulePlace:
    rules: Iterable[object] = ()
    if isinstance(entry.spec, Mapping) and isinstance(entry.spec.get("rules"), list):
        rules = entry.spec["rules"]
    at = next((at for at, one in enumerate(rules) if isinstance(one, Mapping) and one.get("name") == rule), None)
    if at is not None:
        line, column = part.document.place(f"{_path(part.document, entry)}spec.rules[{at}].name")
        return RulePlace(part.label, line, column)
    found = _PLACE.search(entry.where)
    return RulePlace(part.label, *(int(number) for number in found.groups())) if found else RulePlace(part.label, 1, 1)


def _path(document: Document, entry: ManifestEntry) -> str:
    """Return where an entry's object stands in a list of objects."""
    data = document.data
    if isinstance(data, Mapping) and isinstance(data.get("items"), list) and "spec" not in data:
        for at, item in enumerate(data["items"]):
            if isinstance(item, Mapping) and item.get("spec") is entry.spec:
                return f"items[{at}]."
    return ""
