"""Shapes of the bodies, as JSON Schemas by name: what a client sends, and what it gets.

Standing: under `operations`. Holds: words that the engine knows, such as reasons, are the engine's; an object that a
client sends may have further members, which are ignored.
"""

from typing import Any, Final, get_args

from bailiwick_engine.batch import MAX_ITEMS, Semantic
from bailiwick_engine.history.state import CallOutcome
from bailiwick_engine.reasonrow import NextAction
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.http.adapters import replies
from bailiwick_webhook.http.authzen.messages import MAX_NAME
from bailiwick_webhook.http.authzen.pages import MAX_LIMIT

Shape = dict[str, Any]

TEXT: Final[Shape] = {"type": "string"}
_TEXT_THERE: Final[Shape] = {"type": "string", "minLength": 1}
_NAME: Final[Shape] = {**_TEXT_THERE, "maxLength": MAX_NAME}
_TIME: Final[Shape] = {"type": "string", "format": "date-time"}
_URL: Final[Shape] = {"type": "string", "format": "uri"}
_OPEN: Final[Shape] = {"type": "object", "additionalProperties": True}
_NUMBER: Final[Shape] = {"type": "number", "minimum": 0}


def ref(name: str) -> Shape:
    """Return a reference to a shape."""
    return {"$ref": f"#/components/schemas/{name}"}


def described(shape: Shape, text: str) -> Shape:
    """Return a shape with a description."""
    return {**shape, "description": text}


def an_object(required: tuple[str, ...] = (), /, **properties: Shape) -> Shape:
    """Return the shape of an object with these members, of which these must be there."""
    return {"type": "object", "properties": properties, **({"required": [*required]} if required else {})}


def a_list(of: Shape, **bounds: int) -> Shape:
    """Return the shape of a list."""
    return {"type": "array", "items": of, **bounds}


_SAID_OF_USER: Final = an_object(("403",), **{"403": TEXT})
_CALL: Final = {
    "subject": ref("Subject"),
    "action": ref("Action"),
    "resource": ref("Resource"),
    "context": ref("RequestContext"),
}
_SEARCHED: Final = {**_CALL, "page": ref("PageRequest")}
_FOUND: Final = ("results", "page", "context")

SENT: Final[dict[str, Shape]] = {
    "Subject": described(
        an_object(("type", "id"), type=_NAME, id=_NAME, properties=_OPEN),
        "Whom the call is for. A service account has the type serviceAccount and its username as id.",
    ),
    "Action": an_object(("name",), name=_NAME, properties=_OPEN),
    "Resource": an_object(("type", "id"), type=_NAME, id=_NAME, properties=_OPEN),
    "RequestContext": described(
        an_object(
            evidence=described(
                an_object(subject_token=TEXT, actor_token=TEXT), "Tokens that prove the subject and who acts for it."
            ),
            args=described(_OPEN, "The arguments of the call. Records have only their digest."),
            intent=described(_NAME, "The declared purpose."),
            business_justification=described(TEXT, "The requester's reason, for who reviews."),
            approval=ref("PresentedApproval"),
            explain=described({"type": "boolean"}, "Ask for an explanation."),
            dry_run=described(
                {"type": "boolean"}, "Ask only what the call would come to: nothing is used, requested or counted."
            ),
        )
        | {"additionalProperties": True},
        "What else there is to say of the call. Conditions read all members but evidence, approval, explain,"
        " dry_run and business_justification.",
    ),
    "PresentedApproval": described(
        an_object(("id",), id=_TEXT_THERE, state=TEXT, approved_at=TEXT, approved_until=TEXT),
        "The approval of an approved task. state is the approval token.",
    ),
    "EvaluationRequest": an_object(("subject", "action", "resource"), **_CALL),
    "EvaluationsRequest": described(
        an_object(
            **_CALL,
            options=an_object(evaluations_semantic={"enum": [one.value for one in Semantic]}),
            evaluations=a_list(an_object(**dict.fromkeys(_CALL, _OPEN)), maxItems=MAX_ITEMS),
        ),
        "What an item leaves out is taken from the body. Without evaluations it is one evaluation.",
    ),
    "PageRequest": an_object(
        limit={"type": "integer", "minimum": 1, "description": f"More than {MAX_LIMIT} is taken as {MAX_LIMIT}."},
        token=TEXT,
    ),
    "SubjectSearchRequest": an_object(
        ("subject", "action", "resource"),
        **{**_SEARCHED, "subject": an_object(("type",), type=_NAME, properties=_OPEN)},
    ),
    "ResourceSearchRequest": an_object(
        ("subject", "action", "resource"),
        **{**_SEARCHED, "resource": an_object(("type",), type=_NAME, properties=_OPEN)},
    ),
    "ActionSearchRequest": an_object(
        ("subject", "resource"), **{name: shape for name, shape in _SEARCHED.items() if name != "action"}
    ),
    "AccessRequest": described(
        an_object(
            ("subject", "action", "resource"),
            **_CALL,
            denial=an_object(evaluation_id=TEXT, binding_token=TEXT, expires_at=_TIME, reason=TEXT, template=TEXT),
            client=an_object(actor=_OPEN),
        ),
        "A request for approval: the body of an evaluation, and the denial that it follows.",
    ),
    "OutcomeRequest": an_object(
        ("evaluation_id", "handle", "outcome"),
        evaluation_id=described(TEXT, "That of the answer."),
        handle=described(TEXT, "`context.outcome.handle` of the answer."),
        outcome={"enum": [*get_args(CallOutcome)]},
    ),
    "CancelRequest": an_object(reason={**TEXT, "maxLength": 511}, comment={**TEXT, "maxLength": 511}),
}
"""Of requests."""

_CONTEXT: Final = an_object(
    evaluation_id=described(TEXT, "The id of the decision, as in its record."),
    evaluated_at=_TIME,
    reason=ref("Reason"),
    reason_user=_SAID_OF_USER,
    reason_admin=_SAID_OF_USER,
    next_action={"enum": [*get_args(NextAction)], "description": "What the caller can do about a denial."},
    retry_after=described({"type": "integer", "minimum": 1}, "Seconds."),
    retry_after_seconds=described(
        {"type": "integer", "minimum": 1},
        "Of a denial by a history: after so many seconds the first call that it counts is out of its window.",
    ),
    snapshot=ref("PolicySnapshot"),
    policy=ref("DecidingRule"),
    hop=described(TEXT, "The party at which a call on somebody's behalf failed."),
    approval=an_object(
        ("id", "approved_until", "uses"),
        id=TEXT,
        approved_until={"type": ["string", "null"], "format": "date-time"},
        uses={"type": "integer", "minimum": 0},
    ),
    access_request=described(
        an_object(
            ("endpoint", "template", "expires_at"),
            endpoint=_URL,
            template=TEXT,
            expires_at=_TIME,
            binding_token=TEXT,
        ),
        "Where an approval can be requested. If it is absent, none can.",
    ),
    task=an_object(("id", "status", "status_endpoint"), id=TEXT, status={"const": "pending"}, status_endpoint=_URL),
    dry_run=described({"const": True}, "The answer is to a dry run, and permits nothing."),
    outcome=described(
        an_object(("handle", "until"), handle=TEXT, until=_TIME),
        "If a history counts the call by its outcome: by what, and until when, the outcome can be reported.",
    ),
    explanation=described(_OPEN, "If it was asked for. See docs/reference/authzen.md."),
    error=described(
        an_object(("status", "message"), status={"type": "integer"}, message=TEXT), "Of an item of a batch alone."
    ),
    development=described(TEXT, "Only with --development: nothing here protects anything."),
)
_PROBLEM: Final = an_object(
    ("type", "title", "status", "detail"),
    type=_URL,
    title=TEXT,
    status={"type": "integer"},
    detail=TEXT,
    field=described(TEXT, "The path of the member that is wrong."),
    reason=TEXT,
    why=TEXT,
)

ANSWERED: Final[dict[str, Shape]] = {
    "EvaluationResponse": an_object(
        ("decision",),
        decision=described({"type": "boolean"}, "Whether the call may be made. Anything but true is a denial."),
        context=ref("ResponseContext"),
    ),
    "ResponseContext": _CONTEXT,
    "PolicySnapshot": an_object(
        ("revision", "age_seconds"), revision=TEXT, age_seconds=_NUMBER, pending_seconds=_NUMBER
    ),
    "DecidingRule": an_object(
        ("namespace", "name", "uid", "generation", "digest", "rule"),
        namespace=TEXT,
        name=TEXT,
        uid=TEXT,
        generation={"type": "integer"},
        digest=TEXT,
        rule=TEXT,
    ),
    "Reason": {"enum": [one.value for one in Reason], "description": "docs/reference/reasons.md explains each."},
    "EvaluationsResponse": {
        "anyOf": [
            an_object(("evaluations",), evaluations=a_list(ref("EvaluationResponse"))),
            described(ref("EvaluationResponse"), "If the request had no evaluations."),
        ]
    },
    "OutcomeResponse": an_object(("outcome",), outcome={"enum": [*get_args(CallOutcome)]}),
    "SearchResponse": an_object(
        _FOUND,
        results=a_list(ref("SearchResult")),
        page=an_object(
            ("next_token", "count", "total"),
            next_token=TEXT,
            count={"type": "integer", "minimum": 0},
            total={"type": "integer", "minimum": 0},
        ),
        context=an_object(
            ("evaluated_at", "snapshot"),
            evaluated_at=_TIME,
            snapshot=ref("PolicySnapshot"),
            incomplete=described({"const": True}, "There may be more than policies name."),
            with_approval=described(a_list(ref("SearchResult")), "Subjects who need an approval."),
            reason=ref("Reason"),
            reason_user=_SAID_OF_USER,
            reason_admin=_SAID_OF_USER,
        ),
    ),
    "SearchResult": described(
        an_object(type=TEXT, id=TEXT, name=TEXT), "A subject or resource by type and id, or an action by name."
    ),
    "TaskResponse": an_object(("task",), task=ref("Task")),
    "Task": an_object(
        ("id", "status", "status_endpoint", "expires_at"),
        id=TEXT,
        status={"enum": ["pending", "approved", "denied", "expired", "cancelled"]},
        status_endpoint=_URL,
        expires_at=_TIME,
        links=an_object(("cancel",), cancel=_URL),
        progress=an_object(
            ("total_steps", "awaiting"),
            total_steps={"type": "integer", "minimum": 1},
            awaiting=a_list(
                an_object(
                    ("step", "kind", "groups"), step=TEXT, kind={"enum": ["Human", "System"]}, groups=a_list(TEXT)
                )
            ),
        ),
        result=an_object(
            ("mode", "approval"),
            mode={"const": "reevaluate"},
            approval=an_object(
                ("id", "approved_at", "approved_until"), id=TEXT, approved_at=_TIME, approved_until=_TIME, state=TEXT
            ),
        ),
    ),
    "Problem": described(_PROBLEM, "No decision was made (RFC 9457). Treat it as a denial."),
    "ProxyDenial": described(
        an_object(
            ("type", "title", "status", "detail", "reason"),
            **{name: _PROBLEM["properties"][name] for name in ("type", "title", "status", "detail", "reason")},
            **{name: _CONTEXT["properties"][name] for name in ("evaluation_id", *replies.TOLD)},
        ),
        "A proxied call is denied (RFC 9457). Without an evaluation_id no decision was made.",
    ),
    "Metadata": an_object(
        ("policy_decision_point", "access_evaluation_endpoint"),
        policy_decision_point=_URL,
        access_evaluation_endpoint=_URL,
        access_evaluations_endpoint=_URL,
        search_subject_endpoint=_URL,
        search_resource_endpoint=_URL,
        search_action_endpoint=_URL,
        access_request_endpoint=_URL,
        jwks_uri=_URL,
        capabilities=a_list(TEXT),
    ),
    "KeySet": an_object(("keys",), keys=a_list(_OPEN)),
}
"""Of answers."""
