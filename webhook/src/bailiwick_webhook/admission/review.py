"""Examines the policy of an AdmissionReview by itself: it is compiled as it would be served.

Data is examined likewise, by the function that reads it for decisions.

Standing: run by `worker`, beside the process that decides; `answer` adds the context of the policy. Holds: pure, and
never raises: any body results in one of the findings below. Only what was posted is examined.
"""

from typing import Any, Final, NamedTuple

import msgspec
from pydantic import ValidationError

from bailiwick_api.kinds import endpointdata
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from bailiwick_api.kinds.meta import GROUP, VERSION
from bailiwick_api.manifests.admission import REVIEW_VERSION
from bailiwick_engine.approval.display import visible
from bailiwick_engine.budget.datasize import data_footprint
from bailiwick_engine.budget.footprint import NO_FOOTPRINT, Footprint, footprint
from bailiwick_engine.cel import data
from bailiwick_engine.compile.acceptance import (
    CompilationSummary,
    PolicyContext,
    Refusal,
    carries_settings,
    endpoint_of,
    judge,
    refusal,
    shorten,
)
from bailiwick_engine.compile.reviewers import NOBODY, People, people_of
from bailiwick_engine.policy.model import PolicyRef
from bailiwick_engine.problem import Problem
from bailiwick_process.ijson import strict
from bailiwick_process.ijson.strict import JsonError
from bailiwick_webhook.admission.comparison import UNCOMPARED, PolicyEdit

MAX_BYTES: Final = 3 * 1024 * 1024 + 64 * 1024
"""The stored object and its replacement, 1.5 MiB each, and the rest of the review around them."""
_GROUP: Final = "admission.k8s.io"
KIND: Final = "EndpointPolicy"
_MOST_LISTED: Final = 20
_LENGTH: Final = 500
_LONGEST_NAME: Final = 253


class MalformedReview(msgspec.Struct, frozen=True, tag=True):
    """This is no review of a policy: 400. `where` is the path of the problem."""

    detail: str
    where: str


class NothingToReview(msgspec.Struct, frozen=True, tag=True):
    """There is nothing to judge: a deletion, or a policy whose spec stays as it is."""

    uid: str


class UnknownVersion(msgspec.Struct, frozen=True, tag=True):
    """A policy of a version that we cannot read."""

    uid: str
    version: str


class StoredPolicy(msgspec.Struct, frozen=True):
    """The stored policy, as far as is needed to see whether it had the same problem."""

    carries: bool
    people: People
    print: Footprint | None = None


class PolicyFinding(msgspec.Struct, frozen=True, tag=True):
    """A policy, and what is wrong with it by itself.

    `causes` are fields and messages. `expiries` are warnings, each from its time on in seconds since the epoch.
    `before` is None for a policy that is new. `print`: what it takes, compiled. `follows`: the comparison of the calls
    that it lets further is sent after this; until then `widening` says that they were not compared.
    """

    uid: str
    namespace: str
    name: str
    endpoint: str
    carries: bool
    people: People
    refusal: Refusal | None
    causes: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    expiries: tuple[tuple[float, str], ...]
    before: StoredPolicy | None
    print: Footprint = NO_FOOTPRINT
    follows: bool = False
    widening: tuple[str, ...] = ()


class DataFinding(msgspec.Struct, frozen=True, tag=True):
    """An object of data, and what is wrong with it by itself.

    `cause` is the field and the message; `why` the reason that the operator would report. `print`: what it takes;
    `before`: what the stored one takes, None for a new one.
    """

    uid: str
    namespace: str
    name: str
    why: str
    cause: tuple[str, str] | None
    print: Footprint
    before: Footprint | None


class ReviewDefect(msgspec.Struct, frozen=True, tag=True):
    """A defect of ours, for the log."""

    error: str


Finding = MalformedReview | NothingToReview | UnknownVersion | PolicyFinding | DataFinding | ReviewDefect


class Examination(NamedTuple):
    """A finding, and the change that is yet to be compared, if it `follows`."""

    finding: Finding
    edit: PolicyEdit | None = None


class _UnreadableError(Exception):
    def __init__(self, detail: str, where: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where


def examine(raw: bytes, most: int = 0) -> Examination:
    """Return the finding for a body. A policy that takes more than `most` bytes, if not 0, is not compiled."""
    try:
        # As many values as the largest policies have, so that only the size bounds them.
        return _examine(strict.parse(raw, MAX_BYTES), most)
    except (JsonError, _UnreadableError) as error:
        return Examination(MalformedReview(error.detail, error.where))
    except Exception as error:  # noqa: BLE001 - the last resort: no policy may end the worker
        return Examination(ReviewDefect(f"{type(error).__name__}: {shorten(str(error), _LENGTH)}"))


def _examine(review: dict[str, Any], most: int) -> Examination:
    if review.get("apiVersion") != f"{_GROUP}/{REVIEW_VERSION}":
        raise _UnreadableError(f"apiVersion must be {_GROUP}/{REVIEW_VERSION}", "apiVersion")
    if review.get("kind") != "AdmissionReview":
        raise _UnreadableError("kind must be AdmissionReview", "kind")
    request = _member(review, "request", dict, "")
    uid: str = _text(request, "uid", "request")
    kind = _member(request, "kind", dict, "request")
    if kind.get("group") != GROUP or kind.get("kind") not in {KIND, endpointdata.KIND}:
        raise _UnreadableError(f"this path reviews only {KIND} and {endpointdata.KIND} of {GROUP}", "request.kind")
    version = _text(kind, "version", "request.kind")
    match request.get("operation"):
        case "DELETE":
            return Examination(NothingToReview(uid))
        case "CREATE":
            new, old = _member(request, "object", dict, "request"), None
        case "UPDATE":
            new, old = (_member(request, name, dict, "request") for name in ("object", "oldObject"))
        case _:
            raise _UnreadableError("operation must be CREATE, UPDATE or DELETE", "request.operation")
    if old is not None and _json(new.get("spec")) == _json(old.get("spec")):
        # So that a policy that no longer compiles can still be labelled, and its finalizers removed.
        return Examination(NothingToReview(uid))
    if version != VERSION:
        return Examination(UnknownVersion(uid, version))
    if kind["kind"] == endpointdata.KIND:
        return Examination(_data(uid, request, new, old))
    finding = _examine_policy(uid, request, new, old, most)
    edit = PolicyEdit(finding.namespace, finding.name, old, new) if finding.follows else None
    return Examination(finding, edit)


def _data(uid: str, request: dict[str, Any], new: dict[str, Any], old: dict[str, Any] | None) -> DataFinding:
    metadata = _member(new, "metadata", dict, "request.object")
    name, namespace = _text(metadata, "name", "request.object.metadata"), _text(request, "namespace", "request")
    unknown = data.read_data(name, "", 0, new.get("spec")).unknown
    return DataFinding(
        uid,
        namespace,
        name,
        "" if unknown is None else unknown.why.value,
        None if unknown is None else (unknown.problem.path, _readable(unknown.problem.message)),
        data_footprint(new.get("spec")),
        None if old is None else data_footprint(old.get("spec")),
    )


def _json(spec: object) -> bytes:
    """Return a spec as JSON for comparison: in Python 1 equals True, but they are two different specs."""
    return msgspec.json.encode(spec, order="deterministic")


def _examine_policy(
    uid: str, request: dict[str, Any], new: dict[str, Any], old: dict[str, Any] | None, most: int
) -> PolicyFinding:
    metadata = _member(new, "metadata", dict, "request.object")
    name, namespace = _text(metadata, "name", "request.object.metadata"), _text(request, "namespace", "request")
    spec = new.get("spec")
    endpoint, carries = endpoint_of(spec), carries_settings(spec)
    size = footprint(spec)
    # A policy that is too large is refused for that, or it is stored already, and then no process compiles it.
    large = 0 < most < size.bytes
    judged = CompilationSummary(()) if large else judge(PolicyRef(namespace, name, "", 0), spec)
    problem = refusal(judged, endpoint, PolicyContext(), carries=carries)
    # A refused policy allows nothing, and a policy that no process compiles denies.
    follows = problem is None and not large
    return PolicyFinding(
        uid,
        namespace,
        name,
        # For a refused policy the endpoint is not used, and it may be any text.
        "" if judged.problems else endpoint,
        carries,
        judged.people,
        problem,
        tuple((problem.path, _readable(_with_position(problem))) for problem in judged.problems[:_MOST_LISTED]),
        _warnings(judged.warnings),
        tuple((expiry.time, _readable(str(expiry.problem))) for expiry in judged.expiries[:_MOST_LISTED]),
        None if old is None else _stored_policy(old.get("spec")),
        size,
        follows,
        (UNCOMPARED,) if follows else (),
    )


def _stored_policy(spec: object) -> StoredPolicy:
    try:
        people = people_of(EndpointPolicy.from_spec(spec).spec)
    except ValidationError:
        people = NOBODY
    return StoredPolicy(carries_settings(spec), people, footprint(spec))


def _warnings(problems: tuple[Problem, ...]) -> tuple[str, ...]:
    listed = tuple(_readable(str(problem)) for problem in problems[:_MOST_LISTED])
    return (*listed, f"and {len(problems) - _MOST_LISTED} more warnings") if len(problems) > _MOST_LISTED else listed


def _with_position(problem: Problem) -> str:
    place = f"line {problem.line}, column {problem.column}: " if problem.line else ""
    return f"{place}{problem.message}"


def _readable(text: str) -> str:
    return visible(shorten(text, _LENGTH))


def _member(parent: dict[str, Any], name: str, kind: type, path: str) -> Any:  # noqa: ANN401 - of the requested kind
    value = parent.get(name)
    if not isinstance(value, kind):
        expected = "an object" if kind is dict else "a string"
        raise _UnreadableError(f"{name} must be {expected}", f"{path}.{name}".lstrip("."))
    return value


def _text(parent: dict[str, Any], name: str, path: str) -> str:
    text = _member(parent, name, str, path)
    if not 0 < len(text) <= _LONGEST_NAME:
        raise _UnreadableError(f"{name} must have 1 to {_LONGEST_NAME} characters", f"{path}.{name}")
    return str(text)
