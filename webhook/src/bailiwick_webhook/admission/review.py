"""What an AdmissionReview asks, and what can be said of its policy by itself: it is compiled as it would be served.

Data is read likewise, by the function that reads it for decisions.

Standing: run by `worker`, beside the process that decides; `answer` looks at what is around the policy. Holds: pure,
and never raises: whatever is sent comes to one of the findings below. What a poster sent is all that is looked at.
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
from bailiwick_webhook.admission.comparison import UNCOMPARED, PolicyEdit
from bailiwick_webhook.ijson import strict
from bailiwick_webhook.ijson.strict import JsonError

MAX_BYTES: Final = 3 * 1024 * 1024 + 64 * 1024
"""What the API server can have stored and what it is given in its place, 1.5 MiB each, and what is around them."""
_GROUP: Final = "admission.k8s.io"
KIND: Final = "EndpointPolicy"
_TOLD: Final = 20
_LENGTH: Final = 500
_LONGEST_NAME: Final = 253


class MalformedReview(msgspec.Struct, frozen=True, tag=True):
    """This is no review of a policy: 400. `where` is the path of what is wrong."""

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
    """What is stored so far, as far as it matters what was wrong around that already."""

    carries: bool
    people: People
    print: Footprint | None = None


class PolicyFinding(msgspec.Struct, frozen=True, tag=True):
    """A policy, and what is wrong with it by itself.

    `causes` are fields and messages. `expiries` are warnings, each from its time on in seconds since the epoch.
    `before` is None for a policy that is new. `print`: what it takes, compiled. `follows`: what calls it lets further
    is told after this; until then `widening` says that nobody has compared them.
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

    `cause` is the field and the message; `why` the reason that the operator would tell. `print`: what it takes;
    `before`: what the stored one takes, None for one that is new.
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
    """A finding, and the change that is still to be compared, if it `follows`."""

    finding: Finding
    edit: PolicyEdit | None = None


class _UnreadableError(Exception):
    def __init__(self, detail: str, where: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where


def examine(raw: bytes, most: int = 0) -> Examination:
    """Return what a body comes to. A policy that takes more than so many bytes, if not 0, is not compiled."""
    try:
        # Of the largest policies every value must get in, so that the size is what bounds them.
        return _examined(strict.parse(raw, MAX_BYTES), most)
    except (JsonError, _UnreadableError) as error:
        return Examination(MalformedReview(error.detail, error.where))
    except Exception as error:  # noqa: BLE001 - the last line: nobody's policy ends the worker
        return Examination(ReviewDefect(f"{type(error).__name__}: {shorten(str(error), _LENGTH)}"))


def _examined(review: dict[str, Any], most: int) -> Examination:
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
    if old is not None and _written(new.get("spec")) == _written(old.get("spec")):
        # So that a policy that no longer compiles can be labelled, and finalizers taken from it.
        return Examination(NothingToReview(uid))
    if version != VERSION:
        return Examination(UnknownVersion(uid, version))
    if kind["kind"] == endpointdata.KIND:
        return Examination(_data(uid, request, new, old))
    finding = _found(uid, request, new, old, most)
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
        None if unknown is None else (unknown.problem.path, _told(unknown.problem.message)),
        data_footprint(new.get("spec")),
        None if old is None else data_footprint(old.get("spec")),
    )


def _written(spec: object) -> bytes:
    """Return a spec as JSON: in Python 1 equals True, and those are two specs."""
    return msgspec.json.encode(spec, order="deterministic")


def _found(
    uid: str, request: dict[str, Any], new: dict[str, Any], old: dict[str, Any] | None, most: int
) -> PolicyFinding:
    metadata = _member(new, "metadata", dict, "request.object")
    name, namespace = _text(metadata, "name", "request.object.metadata"), _text(request, "namespace", "request")
    spec = new.get("spec")
    endpoint, carries = endpoint_of(spec), carries_settings(spec)
    made = footprint(spec)
    # One that is too large is refused for that, or was there before, and then it is compiled nowhere.
    large = 0 < most < made.bytes
    judged = CompilationSummary(()) if large else judge(PolicyRef(namespace, name, "", 0), spec)
    wrong = refusal(judged, endpoint, PolicyContext(), carries=carries)
    # What is refused lets nobody anywhere, and what is compiled nowhere denies.
    follows = wrong is None and not large
    return PolicyFinding(
        uid,
        namespace,
        name,
        # Of one that is refused already nobody asks more, and its endpoint may be anything.
        "" if judged.problems else endpoint,
        carries,
        judged.people,
        wrong,
        tuple((problem.path, _told(_placed(problem))) for problem in judged.problems[:_TOLD]),
        _warnings(judged.warnings),
        tuple((expiry.time, _told(str(expiry.problem))) for expiry in judged.expiries[:_TOLD]),
        None if old is None else _before(old.get("spec")),
        made,
        follows,
        (UNCOMPARED,) if follows else (),
    )


def _before(spec: object) -> StoredPolicy:
    try:
        people = people_of(EndpointPolicy.from_spec(spec).spec)
    except ValidationError:
        people = NOBODY
    return StoredPolicy(carries_settings(spec), people, footprint(spec))


def _warnings(problems: tuple[Problem, ...]) -> tuple[str, ...]:
    told = tuple(_told(str(problem)) for problem in problems[:_TOLD])
    return (*told, f"and {len(problems) - _TOLD} more warnings") if len(problems) > _TOLD else told


def _placed(problem: Problem) -> str:
    place = f"line {problem.line}, column {problem.column}: " if problem.line else ""
    return f"{place}{problem.message}"


def _told(text: str) -> str:
    return visible(shorten(text, _LENGTH))


def _member(of: dict[str, Any], name: str, kind: type, path: str) -> Any:  # noqa: ANN401 - of the kind that was asked for
    found = of.get(name)
    if not isinstance(found, kind):
        what = "an object" if kind is dict else "a string"
        raise _UnreadableError(f"{name} must be {what}", f"{path}.{name}".lstrip("."))
    return found


def _text(of: dict[str, Any], name: str, path: str) -> str:
    found = _member(of, name, str, path)
    if not 0 < len(found) <= _LONGEST_NAME:
        raise _UnreadableError(f"{name} must have 1 to {_LONGEST_NAME} characters", f"{path}.{name}")
    return str(found)
