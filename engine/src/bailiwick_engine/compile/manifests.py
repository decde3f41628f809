"""Manifests: the policies in a file, and what an unreadable part of the file denies.

Standing: the decision point without a cluster and `kubectl bailiwick check -f` both read files with it, so that one
reports what the other serves; `assembly` combines the files of a directory. Files do not pass an API server, so this
module does its checks: the shape of the object, strict types, one object for a name. Problems are reported as
`file:line:column: path: message`.

Holds: no problem widens. An object that parses but is not a valid policy denies its subjects, if all of them can be
read, otherwise its endpoint, otherwise its namespace. A document that does not parse to its end denies the whole
endpoint that was named before the fault, because a list of subjects beside a fault may be incomplete. Without a
namespace it denies its endpoint in every namespace, and without a readable endpoint, everything. Only a document that
names itself as another API group's kind is skipped, and only where nothing of ours can stand in it: kubectl applies the
items of any list, and what it reads beyond the place where this reader stops.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeGuard

from pydantic import ValidationError

from bailiwick_api.documents.positions import Document, Flaw, documents
from bailiwick_api.kinds import endpointdata
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from bailiwick_api.kinds.meta import API_VERSION, DNS_LABEL, GROUP
from bailiwick_engine.approval.display import visible
from bailiwick_engine.budget.datasize import data_claim
from bailiwick_engine.budget.ledger import BudgetLedger, Claim, policy_claim
from bailiwick_engine.cel.data import UnknownReason
from bailiwick_engine.cel.hints import suggest_name
from bailiwick_engine.compile import schemaerrors
from bailiwick_engine.compile.acceptance import carries_settings, over_budget
from bailiwick_engine.compile.checks import expiries
from bailiwick_engine.compile.datafiles import DataEntry, data_steps, is_data
from bailiwick_engine.compile.policies import compile_steps, parse_steps, problem_steps, salvage
from bailiwick_engine.compile.withheld import withheld
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, PolicyRef
from bailiwick_engine.policy.replacements import replaced_by
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps

_KIND: Final = "EndpointPolicy"
_GRANT: Final = "ApprovalGrant"
_MEMBERS: Final = ("apiVersion", "kind", "metadata", "spec", "status")
_LABEL: Final = re.compile(DNS_LABEL.rstrip("$") + r"\Z")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
_MAX_LABEL: Final = 63
# Our group in a text, or what may spell it in another way.
_OUR_NAME: Final = re.compile(re.escape(GROUP) + r"|\\[xuU\r\n]|!!|!<|^%", re.MULTILINE)
# Of names that a uid is made from; itself made from the project's name.
_SPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, GROUP)


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that is wrong: `file:line:column: path: message`, and whom that denies."""

    problem: str
    denies: str


@dataclass(frozen=True, slots=True)
class ExpiryNotice:
    """A problem of a valid policy from `time` on, in seconds since the epoch: `file:line:column: path: message`."""

    time: float
    problem: str


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One policy, or what ought to be one. Without `policy` its namespace is unknown (see `Holds` above).

    `settings`, `named` and `replaces` are the places of `spec.endpointSettings`, `spec.endpoint` and `spec.replaces`.
    `over`: it is over budget.
    """

    where: str
    ref: PolicyRef
    spec: object
    policy: CompiledPolicy | BrokenPolicy | None
    endpoint: str | None = None
    problems: tuple[str, ...] = ()
    expiries: tuple[ExpiryNotice, ...] = ()
    settings: str = ""
    named: str = ""
    replaces: str = ""
    over: bool = False

    @property
    def reports(self) -> tuple[Report, ...]:
        """Return what is wrong with it."""
        return tuple(Report(problem, self._denies()) for problem in self.problems)

    def _denies(self) -> str:
        policy = self.policy
        if policy is None:
            return "everything" if self.endpoint is None else f"{self.endpoint} in every namespace"
        if isinstance(policy, CompiledPolicy):
            return "nothing"
        namespace, unread = self.ref.namespace, policy.carries_settings and policy.settings is None
        if policy.audit and not unread:
            return "nothing: Audit mode"
        if policy.endpoint is None:
            return f"namespace {namespace}"
        whole = policy.subjects is None or unread
        return f"{namespace}/{policy.endpoint}" if whole else f"its subjects on {namespace}/{policy.endpoint}"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """What one file holds. `ignored` counts the objects of other kinds."""

    entries: tuple[ManifestEntry, ...] = ()
    ignored: int = 0
    data: tuple[DataEntry, ...] = ()


def unreadable(label: str, why: str) -> ManifestFile:
    """Return what a file comes to whose bytes cannot be had."""
    ref = PolicyRef("", label, "", 0)
    return ManifestFile((ManifestEntry(label, ref, None, None, problems=(f"{label}:1:1: the file: {why}",)),))


def parse(raw: bytes) -> tuple[Document, ...]:
    """Parse a file's text. Never raises; takes long for long ones, and touches nothing else."""
    return documents(raw)


def claims(document: Document) -> Steps[tuple[tuple[str, Claim], ...]]:
    """Return what the policies of one document ask for, with their namespaces, in steps."""
    found: list[tuple[str, Claim]] = []
    for _, obj in objects(document):
        metadata = obj.get("metadata") if isinstance(obj, dict) and not is_foreign(obj) else None
        if isinstance(metadata, dict):
            namespace, name = metadata.get("namespace"), metadata.get("name")
            if isinstance(namespace, str) and isinstance(name, str):
                claim = data_claim(obj) if is_data(obj) else policy_claim(obj)
                found.append((namespace, claim))
        yield
    return tuple(found)


def contents(label: str, document: Document, ledger: BudgetLedger) -> Steps[ManifestFile]:
    """Return the policies of one document, in steps. `label` is the file's path, for the reports.

    What is over budget, as the budget ledger says, is not compiled.
    """
    entries: list[ManifestEntry] = []
    data: list[DataEntry] = []
    ignored = 0
    for path, obj in objects(document):
        if is_foreign(obj):
            if (why := _hides(document, obj)) is None:
                ignored += 1
            else:
                flaws = (Flaw("", why, document.start), *document.flaws)
                unread = replace(document, data=None, complete=False, flaws=flaws)
                entries.append((yield from _Reading(label, unread, "", None).entry(ledger)))
        elif is_data(obj):
            data.append((yield from _Reading(label, document, path, obj).data(ledger)))
        else:
            entries.append((yield from _Reading(label, document, path, obj).entry(ledger)))
    return ManifestFile(tuple(entries), ignored, tuple(data))


def objects(document: Document) -> Iterator[tuple[str, Any]]:
    """Yield the objects of a document with their paths: itself, or the items of a list of objects."""
    data = document.data
    if document.complete and isinstance(data, dict) and isinstance(data.get("items"), list):
        kinds = (data.get("apiVersion"), data.get("kind"))
        if kinds in {("v1", "List"), (API_VERSION, f"{_KIND}List"), (API_VERSION, f"{endpointdata.KIND}List")}:
            yield from ((f"items[{index}]", item) for index, item in enumerate(data["items"]))
            return
    yield "", data


def is_foreign(obj: object) -> bool:
    """Tell whether an object names itself something else than a policy, in full."""
    if not isinstance(obj, dict):
        return False
    version, kind = obj.get("apiVersion"), obj.get("kind")
    if not (isinstance(version, str) and version and isinstance(kind, str) and kind):
        return False
    if kind in {_KIND, f"{_KIND}List"} or (version, kind) == ("v1", "List"):
        return False
    return kind == _GRANT or version.partition("/")[0] != GROUP


def _hides(document: Document, foreign: Mapping[str, Any]) -> str | None:
    """Return how a policy may stand in an object of another kind, where kubectl finds it; None where it cannot."""
    if _may_name_us(foreign.get("items")):
        return "kubectl takes the items of this list for objects; put them in a list of kind List"
    if (document.flaws or not document.complete) and _OUR_NAME.search(document.text):
        return "this document cannot be read in one way, and kubectl may find an object of Bailiwick in it"
    return None


def _may_name_us(items: object) -> bool:
    if not isinstance(items, list):
        return False
    for item in items:
        if isinstance(item, dict):
            version, kind = item.get("apiVersion"), item.get("kind")
            if kind == _KIND or (isinstance(version, str) and version.partition("/")[0] == GROUP):
                return True
            if _may_name_us(item.get("items")):
                return True
    return False


class _Reading:
    """One object of a document, at `path`."""

    def __init__(self, label: str, document: Document, path: str, obj: object) -> None:
        self._label = label
        self._document = document
        self._path = path
        self._object: Mapping[str, Any] = obj if isinstance(obj, dict) else {}
        metadata = self._object.get("metadata")
        self._metadata: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
        self._where = self._place(Problem("", ""))

    def entry(self, ledger: BudgetLedger) -> Steps[ManifestEntry]:
        namespace, name = self._metadata.get("namespace"), self._metadata.get("name")
        spec = self._object.get("spec")
        ref = PolicyRef(
            namespace if _is_label(namespace) else "",
            name if isinstance(name, str) and _NAME.match(name) else "",
            self._uid(),
            self._generation(),
        )
        flaws = tuple(self._flaw(flaw) for flaw in self._document.flaws)
        problems = [*flaws, *map(self._placed_message, self._shape(ref))] if self._document.complete else flaws
        policy: CompiledPolicy | BrokenPolicy | None = None
        excess = ledger.excess(ref.namespace, ref.name)
        if not problems and excess is not None:
            over = over_budget(excess)
            problems, policy = (
                [self._placed_message(Problem("spec", f"{over.why}: {over.message}"))],
                withheld(ref, spec),
            )
        elif not problems:
            problems, policy = yield from self._compiled(ref, spec)
        elif ref.namespace and self._document.complete:
            policy = _salvage(ref, spec)
        elif ref.namespace:
            policy = BrokenPolicy(ref, _endpoint(spec), None, audit=False)
        return ManifestEntry(
            self._where,
            ref,
            spec,
            policy,
            None if policy else _endpoint(spec),
            tuple(problems),
            (yield from self._expiries(spec)) if isinstance(policy, CompiledPolicy) else (),
            self._place(Problem("spec.endpointSettings", "")) if carries_settings(spec) else "",
            self._place(Problem("spec.endpoint", "")),
            self._place(Problem("spec.replaces", "")) if replaced_by(spec) is not None else "",
            over=excess is not None,
        )

    def data(self, ledger: BudgetLedger) -> Steps[DataEntry]:
        """Return what the object comes to as data."""
        namespace, name = self._metadata.get("namespace"), self._metadata.get("name")
        known = namespace if _is_label(namespace) else ""
        named = name if isinstance(name, str) and _NAME.match(name) else ""
        flaw = None
        if not self._document.complete or self._document.flaws:
            first = self._document.flaws[0] if self._document.flaws else None
            flaw = Problem("", "cannot be read to its end" if first is None else first.message)
        elif not known:
            flaw = Problem("metadata.namespace", "is required and must be a DNS label")
        elif not named:
            flaw = Problem("metadata.name", "is required and must be a DNS name")
        ref = (known, named, self._uid(), self._generation())
        made = yield from data_steps(ref, self._object, flaw, ledger)
        unknown = made.unknown
        told = "" if unknown is None else self._placed_message(unknown.problem)
        over = unknown is not None and unknown.why is UnknownReason.OVER_BUDGET
        return DataEntry(self._where, known, made, told, over=over)

    def _expiries(self, spec: object) -> Steps[tuple[ExpiryNotice, ...]]:
        parsed = yield from parse_steps(spec)
        found = () if isinstance(parsed, tuple) else expiries(parsed)
        return tuple(ExpiryNotice(expiry.time, self._placed_message(expiry.problem)) for expiry in found)

    def _compiled(self, ref: PolicyRef, spec: object) -> Steps[tuple[list[str], CompiledPolicy | BrokenPolicy]]:
        problems = _type_problems(spec)
        if problems:
            return [self._placed_message(problem) for problem in problems], _salvage(ref, spec)
        metadata = {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid, "generation": ref.generation}
        yield
        policy = yield from compile_steps({"metadata": metadata, "spec": spec})
        if isinstance(policy, CompiledPolicy):
            return [], policy
        found = yield from problem_steps(ref, spec)
        return [self._placed_message(problem) for problem in found], policy

    def _shape(self, ref: PolicyRef) -> Iterator[Problem]:
        """Yield what is wrong with the object around its spec."""
        if not self._object:
            yield Problem("", "not an object: apiVersion, kind, metadata and spec are required")
            return
        for member, wanted in (("apiVersion", API_VERSION), ("kind", _KIND)):
            if (found := self._object.get(member)) != wanted:
                instead = f", not '{visible(found)}'" if isinstance(found, str) and len(found) <= _MAX_LABEL else ""
                yield Problem(member, f"must be {wanted}{instead}")
        for member in sorted(self._object.keys() - set(_MEMBERS)):
            yield Problem(member, f"unknown field{suggest_name(member, _MEMBERS)}")
        if not ref.namespace:
            yield Problem(
                "metadata.namespace", "is required and must be a DNS label, because a file has no current namespace"
            )
        if not ref.name:
            yield Problem("metadata.name", "is required and must be a DNS name")
        if "spec" not in self._object:
            yield Problem("spec", "is missing")

    def _uid(self) -> str:
        """Return the object's own uid; else one that is that of the same content wherever it is read."""
        uid = self._metadata.get("uid")
        if isinstance(uid, str) and uid:
            return uid
        names = [self._metadata.get("namespace"), self._metadata.get("name"), self._object.get("spec")]
        content = json.dumps(names, sort_keys=True, separators=(",", ":"))
        return str(uuid.uuid5(_SPACE, hashlib.sha256(content.encode()).hexdigest()))

    def _generation(self) -> int:
        generation = self._metadata.get("generation")
        return generation if isinstance(generation, int) and generation > 0 else 1

    def _placed_message(self, problem: Problem) -> str:
        place = self._place(problem)
        return f"{place}: {problem.path}: {problem.message}" if problem.path else f"{place}: {problem.message}"

    def _place(self, problem: Problem) -> str:
        path = ".".join(part for part in (self._path, problem.path) if part)
        line, column = self._document.place(path, problem.line, problem.column)
        return f"{self._label}:{line}:{column}"

    def _flaw(self, flaw: Flaw) -> str:
        said = f"{flaw.path}: {flaw.message}" if flaw.path else flaw.message
        return f"{self._label}:{flaw.place.line}:{flaw.place.column}: {said}"


def _is_label(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= _MAX_LABEL and _LABEL.match(value) is not None


def _endpoint(spec: object) -> str | None:
    found = spec.get("endpoint") if isinstance(spec, dict) else None
    return found if _is_label(found) else None


def _salvage(ref: PolicyRef, spec: object) -> BrokenPolicy:
    """Return what is denied by a spec that parsed. An endpoint that cannot be one may have been meant for any."""
    return salvage(ref, {**spec, "endpoint": _endpoint(spec)} if isinstance(spec, dict) else spec)


def _type_problems(spec: object) -> tuple[Problem, ...]:
    """Return what the API server would refuse and the engine, which reads only what passed it, would convert."""
    try:
        EndpointPolicy.model_validate_json(json.dumps({"spec": spec}), strict=True)
    except ValidationError as error:
        return schemaerrors.problems(error, EndpointPolicy)
    return ()
