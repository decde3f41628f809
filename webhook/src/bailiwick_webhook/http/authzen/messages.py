"""AuthZEN Authorization API 1.0, access evaluation: body to call, decision to answer.

Holds: a denial is 200 with `decision: false` (AuthZEN 1.0, "Access Evaluation Response"); unknown members are ignored;
a member of the wrong type is 400 with its path, and so is a name that is longer than `MAX_NAME`. Names stand in the
record of every item of a batch, and can be sent once for all of them.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import ceil, isfinite
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from bailiwick_api.times import epoch_stamp
from bailiwick_engine.call import RESERVED_CONTEXT, Action, Json, Resource
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.http.authzen import explanation
from bailiwick_webhook.http.problems import ProblemError, bad_request
from bailiwick_webhook.identity.subject import ClaimedSubject
from bailiwick_webhook.pipeline.pdp import Decision

_KINDS: Final[dict[type, str]] = {dict: "an object", str: "a string", bool: "true or false"}
_OBJECT: Final = frozenset({dict, type(None)})
_TEXT: Final = frozenset({str, type(None)})
_FLAG: Final = frozenset({bool, type(None)})
MAX_NAME: Final = 4_096
"""Characters of each name in a call. A policy names nothing of more than 253; a path has at most so many bytes."""
DENIAL_SECONDS: Final = 600
RETRY_AFTER: Final = 5
_RULES: Final = 4_096
# Optional members of `context.approval`: what an approved task says besides its id.
_APPROVAL: Final = ("approved_at", "approved_until", "state")


# A member of an enumeration tells its value slowly.
_VALUES: Final = {reason: reason.value for reason in Reason}


class PresentedApproval(NamedTuple):
    """What is shown of an approval, `context.approval`: its id, and the approval token, ARAP's `state`."""

    id: str
    state: str | None


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """A parsed body. `reason` is the requester's own word, `context.business_justification`.

    `explain`: the caller would like an explanation. `dry_run`: the caller asks what a call would come to.
    """

    subject: ClaimedSubject
    action: Action
    resource: Resource
    context: Mapping[str, Json]
    reason: str | None
    explain: bool = False
    approval: PresentedApproval | None = None
    dry_run: bool = False


class EvaluationDefaults(msgspec.Struct, frozen=True, gc=False):
    """What a body says of who asks for what: all of an evaluation but its action and resource."""

    subject: ClaimedSubject
    context: Mapping[str, Json]
    reason: str | None
    explain: bool
    approval: PresentedApproval | None = None
    dry_run: bool = False


def parse(body: Mapping[str, Any]) -> Evaluation:
    """Parse an evaluation request. Raises `ProblemError` (400) that names the field."""
    defaults = parse_defaults(body.get("subject"), body.get("context"))
    evaluation = None if defaults is None else parse_call(defaults, body.get("action"), body.get("resource"))
    if evaluation is None:
        raise problem_of(body)
    return evaluation


def parse_call(defaults: EvaluationDefaults, action: Any, resource: Any) -> Evaluation | None:  # noqa: ANN401 - any JSON value
    """Return the evaluation; None where anything is wrong with it, and `problem_of` says what."""
    if type(action) is not dict or type(resource) is not dict:
        return None
    name, doing = action.get("name"), action.get("properties")
    kind, identifier, properties = resource.get("type"), resource.get("id"), resource.get("properties")
    if not (type(name) is type(kind) is type(identifier) is str and name and kind and identifier):
        return None
    if max(len(name), len(kind), len(identifier)) > MAX_NAME:
        return None
    if not (type(doing) in _OBJECT and type(properties) in _OBJECT):
        return None
    return Evaluation(
        defaults.subject,
        Action(name, doing),
        Resource(kind, identifier, properties),
        defaults.context,
        defaults.reason,
        defaults.explain,
        defaults.approval,
        defaults.dry_run,
    )


def parse_defaults(subject: Any, context: Any) -> EvaluationDefaults | None:  # noqa: ANN401 - any JSON value
    """Return what a body says besides; None where anything is wrong with it."""
    context = {} if context is None else context
    if type(subject) is not dict or type(context) is not dict:
        return None
    kind, identifier, properties = subject.get("type"), subject.get("id"), subject.get("properties")
    if not (type(kind) is type(identifier) is str and type(properties) in _OBJECT):
        return None
    if not (0 < len(kind) <= MAX_NAME and 0 < len(identifier) <= MAX_NAME):
        return None
    intent, args = context.get("intent"), context.get("args")
    if type(args) not in _OBJECT or not (intent is None or (type(intent) is str and 0 < len(intent) <= MAX_NAME)):
        return None
    if RESERVED_CONTEXT.isdisjoint(context):
        return EvaluationDefaults(
            ClaimedSubject(kind, identifier, properties, None, None), context, None, explain=False
        )
    evidence = context.get("evidence")
    reason, explain = context.get("business_justification"), context.get("explain")
    shown, dry_run = context.get("approval"), context.get("dry_run")
    approval = None if shown is None else _presented(shown)
    if not (type(evidence) in _OBJECT and type(reason) in _TEXT and type(explain) in _FLAG and type(dry_run) in _FLAG):
        return None
    token, actor_token = (
        (None, None) if evidence is None else (evidence.get("subject_token"), evidence.get("actor_token"))
    )
    if (shown is None) != (approval is None) or not (type(token) in _TEXT and type(actor_token) in _TEXT):
        return None
    bound = {name: value for name, value in context.items() if name not in RESERVED_CONTEXT}
    return EvaluationDefaults(
        ClaimedSubject(kind, identifier, properties, token, actor_token),
        bound,
        reason,
        explain is True,
        approval,
        dry_run is True,
    )


def _presented(shown: Any) -> PresentedApproval | None:  # noqa: ANN401 - any JSON value
    if type(shown) is not dict or not all(type(shown.get(name)) in _TEXT for name in _APPROVAL):
        return None
    found = shown.get("id")
    return PresentedApproval(found, shown.get("state")) if type(found) is str and found else None


def problem_of(body: Mapping[str, Any]) -> ProblemError:
    """Return what is wrong with the body of an evaluation, by its first fault. It accepts nothing."""
    try:
        _check(body)
    except ProblemError as problem:
        return problem
    return bad_request("is no evaluation", "")


def _check(body: Mapping[str, Any]) -> None:
    subject, action, resource = (_member(body, name) for name in ("subject", "action", "resource"))
    context = _optional(body, "context", dict, "context") or {}
    evidence = _optional(context, "evidence", dict, "context.evidence") or {}
    if not isinstance(context.get("args"), dict | None):
        raise bad_request("must be an object", "context.args")
    if context.get("intent") is not None:
        _name(context, "intent", "context.intent")
    for entity, members, path in (
        (subject, ("type", "id"), "subject"),
        (action, ("name",), "action"),
        (resource, ("type", "id"), "resource"),
    ):
        for name in members:
            _name(entity, name, f"{path}.{name}")
        _optional(entity, "properties", dict, f"{path}.properties")
        if entity is subject:
            for name in ("subject_token", "actor_token"):
                _optional(evidence, name, str, f"context.evidence.{name}")
    _optional(context, "business_justification", str, "context.business_justification")
    for name in ("explain", "dry_run"):
        _optional(context, name, bool, f"context.{name}")
    if (shown := _optional(context, "approval", dict, "context.approval")) is not None:
        for name in _APPROVAL:
            _optional(shown, name, str, f"context.approval.{name}")
        _text(shown, "id", "context.approval.id")


def answer(
    decision: Decision,
    base: str,
    notice: Mapping[str, str],
    *,
    explain: bool = False,
    binding_token: str | None = None,
) -> dict[str, Any]:
    """Return the body of the answer. `base` is the URL of the endpoint's tenant, where an approval can be asked for.

    `notice` is in every answer's context. `binding_token`: of a denial about which can be asked, see `asks`.
    """
    verdict = decision.verdict
    context: dict[str, Any] = {
        "evaluation_id": decision.evaluation_id,
        "evaluated_at": epoch_stamp(decision.time),
        "reason": _VALUES[verdict.reason],
        "snapshot": {"revision": decision.revision, "age_seconds": round(decision.age, 3)},
        **notice,
    }
    if decision.pending is not None:
        context["snapshot"]["pending_seconds"] = round(decision.pending, 3)
    if verdict.dry_run:
        context["dry_run"] = True
    if verdict.rule is not None:
        context["policy"] = _policy(verdict.rule)
    if decision.grant is not None and decision.allowed:
        until = decision.grant.status.not_after_time
        context["approval"] = {
            "id": decision.grant.id,
            "approved_until": epoch_stamp(until.timestamp()) if until else None,
            "uses": decision.grant.status.uses,
        }
    if (handle := decision.handle) is not None:
        context["outcome"] = {"handle": handle.text, "until": epoch_stamp(handle.until // 1_000)}
    if not decision.allowed:
        context |= _denial(decision, base, binding_token)
    if explain:
        context["explanation"] = explanation.described(decision)
    return {"decision": decision.allowed, "context": context}


@lru_cache(_RULES)
def _policy(rule: CompiledRule) -> orjson.Fragment:
    """Return what names a rule, written out: the same rules decide again and again."""
    policy = rule.policy
    return orjson.Fragment(
        orjson.dumps(
            {
                "namespace": policy.namespace,
                "name": policy.name,
                "uid": policy.uid,
                "generation": policy.generation,
                "digest": rule.policy_digest,
                "rule": rule.name,
            }
        )
    )


def asks(decision: Decision) -> bool:
    """Tell whether the answer says where to ask for an approval."""
    verdict = decision.verdict
    return decision.requestable and verdict.rule is not None and not verdict.dry_run


def _denial(decision: Decision, base: str, binding_token: str | None) -> dict[str, Any]:
    verdict = decision.verdict
    said: dict[str, Any] = {
        "reason_user": {"403": decision.sentence},
        "reason_admin": {"403": f"{verdict.reason.value}: {decision.sentence}"},
        "next_action": decision.next_action,
    }
    if verdict.hop is not None:
        # Of a call on somebody's behalf: the party at which it failed.
        said["hop"] = verdict.hop
    if decision.next_action == "retry":
        said["retry_after"] = RETRY_AFTER
    if (wait := decision.retry_after_seconds) is not None:
        said["retry_after_seconds"] = wait
    if asks(decision) and verdict.rule is not None:
        # AuthZEN ARAP (draft): the presence of access_request is the only signal that a denial can be asked about.
        policy = verdict.rule.policy
        said["access_request"] = {
            "endpoint": f"{base}/access/v1/requests",
            "template": f"{policy.namespace}/{policy.name}/{verdict.rule.name}",
            "expires_at": epoch_stamp(decision.time + DENIAL_SECONDS),
        } | ({} if binding_token is None else {"binding_token": binding_token})
    if verdict.reason is Reason.APPROVAL_PENDING and verdict.pending is not None:
        said["task"] = {
            "id": verdict.pending.id,
            "status": "pending",
            "status_endpoint": f"{base}/access/v1/requests/{verdict.pending.id}",
        }
    if verdict.cools_until is not None and isfinite(verdict.cools_until):
        said["retry_after"] = max(1, ceil(verdict.cools_until - decision.time))
    return said


def _member(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if not isinstance(found, dict):
        raise bad_request("is missing" if found is None else "must be an object", name)
    return found


def _text(entity: Mapping[str, Any], name: str, path: str) -> str:
    found = entity.get(name)
    if not isinstance(found, str):
        raise bad_request("is missing" if found is None else "must be a string", path)
    if not found:
        raise bad_request("must not be empty", path)
    return found


def _name(entity: Mapping[str, Any], name: str, path: str) -> None:
    if len(_text(entity, name, path)) > MAX_NAME:
        raise bad_request(f"has more than {MAX_NAME} characters", path)


def _optional(entity: Mapping[str, Any], name: str, kind: type[Any], path: str) -> Any:  # noqa: ANN401 - of that kind
    found = entity.get(name)
    if found is not None and not isinstance(found, kind):
        raise bad_request(f"must be {_KINDS[kind]}", path)
    return found
