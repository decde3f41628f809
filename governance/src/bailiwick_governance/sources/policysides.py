"""Two states of policies, read from files and compiled once where they say the same.

Standing: above `policies`, for `diff`. Holds: a state with a policy that cannot be read is none: nothing is compared. A
file that is the same on both sides is left out only where no byte of it can speak of what changed, and all of it is
within the budget of its side.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_api.documents.policyfiles import File
from bailiwick_api.documents.positions import Document
from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.compile import manifests
from bailiwick_engine.compile.assembly import assemble
from bailiwick_engine.compile.manifests import ManifestEntry, ManifestFile
from bailiwick_engine.policy.model import CompiledPolicy, CompiledRule
from bailiwick_engine.steps import whole
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.filetext import FileText, NamedClaim
from bailiwick_governance.sources.policies import ledger_of

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


RulePlaces = Callable[[CompiledRule], RulePlace | None]


@dataclass(frozen=True, slots=True)
class _Part:
    """One document and what it came to."""

    label: str
    document: Document
    contents: ManifestFile


class PolicySide:
    """One state. `left_out` counts the files that cannot matter; `data_named` are the objects of data, `ns/name`."""

    def __init__(self, parts: Sequence[_Part], left_out: int) -> None:
        self._parts = parts
        self.left_out = left_out
        self.entries = [entry for part in parts for entry in part.contents.entries]
        self.data = [one for part in parts for one in part.contents.data]
        self.snapshot, self._reports = whole(assemble(self.entries, "", self.data))
        self.data_named = frozenset(one.named for one in self.data)

    @property
    def documents(self) -> list[Document]:
        """The documents that were read."""
        return [part.document for part in self._parts]

    @property
    def namespaces(self) -> set[str]:
        """The namespaces of what was read."""
        return {entry.ref.namespace for entry in self.entries if entry.ref.namespace}

    @property
    def is_broken(self) -> bool:
        """Whether anything is denied that was written, because it cannot be read."""
        return self._denies_whole or bool(self.snapshot.unreadable)

    @property
    def _denies_whole(self) -> bool:
        endpoints = self.snapshot.endpoints.values()
        return any(entry.problems for entry in self.entries) or any(
            one.conflicted or one.denied_whole or one.broken for one in endpoints
        )

    def refuse_broken(self, side: str, purpose: str = "compared") -> None:
        """Tell what cannot be read, and raise `UserError` if anything is denied for it that was written."""
        kind = "error" if self._denies_whole else "warning"
        for report in self._reports:
            talk(f"{kind}: {report.problem}; this denies {report.denies}")
        if self.is_broken:
            raise UserError(f"the policies of the {side} cannot be {purpose}: fix the problems above")

    def place(self, rule: CompiledRule) -> RulePlace | None:
        """Return where a rule stands; its policy, where the rule itself cannot be found."""
        for part in self._parts:
            for entry in part.contents.entries:
                if (entry.ref.namespace, entry.ref.name) == (rule.policy.namespace, rule.policy.name):
                    return _place(part, entry, rule.name)
        return None


def read_sides(base: Named, head: Named) -> tuple[PolicySide, PolicySide]:
    """Read both states, each within one budget. What stands on both sides word by word is parsed and compiled once.

    Of that, what names no endpoint, policy or data that the rest speaks of is left out.
    """
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
    reach = _Reach()
    for part in (part for side in changed for part in side):
        reach.add_changed(part)
    parts = [list(side) for side in changed]
    left = [[(label, file) for label, file in side if file.digest in same] for side in (base, head)]
    read: dict[tuple[str, int], tuple[_Part, ...]] = {}
    # A file that is read can say that more files matter: an endpoint that reads data that changed.
    more = True
    while more:
        more = False
        for at, ledger in enumerate(ledgers):
            waiting, left[at] = left[at], []
            for label, file in waiting:
                if ledger is None and not reach.may_speak(texts[file.digest]):
                    left[at].append((label, file))
                    continue
                # By the side too, where somebody is over: what is withheld on one need not be on the other.
                key = (file.digest, -1 if ledger is None else at)
                if key not in read:
                    read[key] = tuple(_parts(label, file, texts, ledger))
                parts[at] += read[key]
                for part in read[key]:
                    more = reach.add_unchanged(part) or more
    return PolicySide(parts[0], len(left[0])), PolicySide(parts[1], len(left[1]))


def read_beside_live(files: Named, live: Named, data: Mapping[str, tuple[str, File]]) -> tuple[PolicySide, PolicySide]:
    """Read files, and what is live where they are applied. `data` are the live `EndpointData`, by `ns/name`.

    Data that no file has is somebody else's, and stays as it is: it stands beside the files too.
    """
    side, live_side = read_sides(files, live)
    if kept := [file for name, file in data.items() if name not in side.data_named]:
        return read_sides([*files, *kept], live)
    return side, live_side


def _ledger(side: Named, texts: Mapping[str, FileText], same: Collection[str]) -> BudgetLedger | None:
    """Return who is over the budget of this side; None where there is none.

    A policy that is over the budget of its namespace is so for all others there, also for those that did not change.
    """
    read = [texts[file.digest] for _, file in side]
    quick = [one for text in read for one in (text.quick if text.digest in same else text.claims)]
    if not _over(ledger_of(quick), quick):
        return None
    exact = [one for text in read for one in text.claims]
    found = ledger_of(exact)
    return found if _over(found, exact) else None


def _over(ledger: BudgetLedger, claims: Iterable[NamedClaim]) -> bool:
    return any(ledger.excess(namespace, claim.name) is not None for namespace, claim in claims)


def _parts(label: str, file: File, texts: Mapping[str, FileText], ledger: BudgetLedger | None) -> Iterator[_Part]:
    if file.unreadable is not None:
        yield _Part(label, Document(None, complete=False), manifests.unreadable(label, file.unreadable))
        return
    for document in texts[file.digest].documents:
        yield _Part(label, document, whole(manifests.contents(label, document, ledger or BudgetLedger(Budget()))))


class _Reach:
    """How far a change reaches: the names of which a file must hold one to speak of an endpoint that it touches.

    Names of objects and endpoints have one spelling; but with an escape in it, a text can spell them in any way. Whom a
    rule names is no such name: an identity has several spellings, and a rule for one party decides on calls of others
    who act for them.
    """

    def __init__(self) -> None:
        self._everything = False
        self._endpoints: set[str] = set()
        self._data: set[str] = set()
        self._names: set[bytes] = set()

    def add_changed(self, part: _Part) -> None:
        """Take in a document that only one side has."""
        for entry in part.contents.entries:
            if isinstance(entry.policy, CompiledPolicy):
                self._names.add(entry.policy.ref.name.encode())
                self._add_endpoint(entry.policy)
            else:
                # What cannot be read may speak of anything.
                self._everything = True
        for data in part.contents.data:
            self._everything = self._everything or not data.made.name
            self._data.add(data.made.name)
            self._names.add(data.made.name.encode())

    def add_unchanged(self, part: _Part) -> bool:
        """Take in a document that both sides have, and tell whether the change reaches further for it."""
        before = (self._everything, len(self._names))
        for entry in part.contents.entries:
            policy = entry.policy
            if not isinstance(policy, CompiledPolicy):
                self._everything = True
            elif policy.endpoint in self._endpoints or not self._data.isdisjoint(policy.data):
                self._add_endpoint(policy)
        return before != (self._everything, len(self._names))

    def _add_endpoint(self, policy: CompiledPolicy) -> None:
        self._endpoints.add(policy.endpoint)
        self._names.update(name.encode() for name in (policy.endpoint, *policy.data))

    def may_speak(self, text: FileText) -> bool:
        """Tell whether a file that both sides have may speak of what is touched."""
        content = text.content
        return self._everything or text.is_flawed or b"\\" in content or any(name in content for name in self._names)


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
