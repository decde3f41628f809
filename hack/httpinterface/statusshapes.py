"""Shapes of the bodies of the status port, as JSON Schemas by name: what a client sends, and what it gets.

Standing: under `statusoperations`, over the makers of `shapes`. Holds: bounds are those of the handlers; an object that
a client sends may have further members, which are ignored.
"""

from typing import Final

from bailiwick_webhook.http.status import checkpoint, pairs
from httpinterface.shapes import TEXT, Shape, a_list, an_object, described, ref

SIZE: Final[Shape] = {"type": "integer", "minimum": 0, "maximum": checkpoint.MOST_SIZE}
_INTEGER: Final[Shape] = {"type": "integer"}
_COUNT: Final[Shape] = {"type": "integer", "minimum": 0}
_YES_OR_NO: Final[Shape] = {"type": "boolean"}
_TEXT_OR_NULL: Final[Shape] = {"type": ["string", "null"]}


def a_tuple(*members: Shape) -> Shape:
    """Return the shape of an array with exactly these members."""
    count = len(members)
    return {"type": "array", "prefixItems": [*members], "items": False, "minItems": count, "maxItems": count}


def _why(what: str) -> Shape:
    return described(TEXT, f"Why {what}; empty otherwise.")


SENT: Final[dict[str, Shape]] = {
    "PolicyGenerations": described(
        a_list(ref("PolicyGeneration"), maxItems=pairs.MOST_PAIRS), f"At most {pairs.MOST_BYTES:,} bytes."
    ),
    "PolicyDays": described(
        a_list(ref("PolicyDay"), maxItems=pairs.MOST_PAIRS), f"At most {pairs.MOST_BYTES:,} bytes."
    ),
    "CheckpointQuestion": described(
        an_object(
            **{
                "from": described({**SIZE, "default": 0}, "The number of lines that you know, or 0."),
                "ledger": described(
                    {**_TEXT_OR_NULL, "maxLength": checkpoint.MOST_NOTE},
                    f"A signed checkpoint of the operator's log, of at most {checkpoint.MOST_NOTE:,} bytes.",
                ),
            }
        ),
        f"At most {checkpoint.MOST_BYTES:,} bytes.",
    ),
}
"""Of requests."""

_POLICIES: Final = an_object(
    ("files", "policies", "ignored", "problems", "more_problems", "warnings", "unread"),
    files=_COUNT,
    policies=_COUNT,
    ignored=described(_COUNT, "Objects of other kinds."),
    problems=a_list(an_object(("problem", "denies"), problem=TEXT, denies=described(TEXT, "What it denies."))),
    more_problems=described(_COUNT, "Problems that the list leaves out."),
    warnings=described(a_list(TEXT), "Policies and rules that have expired."),
    unread=_why("the directory cannot be read"),
)

ANSWERED: Final[dict[str, Shape]] = {
    "Liveness": {"const": "ok\n"},
    "Readiness": an_object(
        ("ready", "checks", "store"),
        ready=described(_YES_OR_NO, "Whether all checks hold."),
        checks=an_object(
            ("synced", "fresh", "serving"),
            synced=described(_YES_OR_NO, "Everything was read once."),
            fresh=described(_YES_OR_NO, "What was read is not stale."),
            serving=described(_YES_OR_NO, "The process listens and is not about to stop."),
            certificate=described(_YES_OR_NO, "Only with TLS: the serving certificate is valid."),
        ),
        store=an_object(
            ("revision", "age_seconds"),
            revision=described(TEXT, "The state that decisions are made from."),
            age_seconds=described({"type": ["number", "null"], "minimum": 0}, "null until everything was read once."),
        ),
        guard=described(
            an_object(("proven", "why"), proven=_YES_OR_NO, why=_why("the guards are not proven")),
            "Only in a cluster.",
        ),
        keys=described(
            an_object(("kids", "why"), kids=a_list(TEXT), why=_why("there are no signing keys")),
            "Only in a cluster: the keys that sign approval tokens.",
        ),
        clock=described(
            an_object(("agrees", "why"), agrees=_YES_OR_NO, why=_why("the clocks do not agree")),
            "Only in a cluster: this clock beside the API server's.",
        ),
        policies=described(_POLICIES, "Only with --policies."),
        certificate=described(
            an_object(
                ("not_after", "problem"),
                not_after={"type": ["string", "null"], "format": "date-time"},
                problem=described(_TEXT_OR_NULL, "Why the files cannot be used."),
            ),
            "Only with TLS.",
        ),
        development=described(TEXT, "Only with --development: nothing here protects anything."),
    ),
    "Metrics": described(TEXT, "The text format of Prometheus. docs/reference/metrics.md has every metric."),
    "PolicyGeneration": described(
        a_tuple(described(TEXT, "uid"), described(_INTEGER, "generation")),
        "A generation of a policy, or of an EndpointData object.",
    ),
    "ServedGenerations": an_object(
        ("ready", "served"),
        ready=described(_YES_OR_NO, "As in /readyz."),
        served=described(
            a_list(ref("PolicyGeneration"), maxItems=pairs.MOST_PAIRS),
            "Those of the request that this process decides by.",
        ),
    ),
    "PolicyDay": described(
        a_tuple(described(TEXT, "uid"), described(_INTEGER, "days since 1970-01-01, in UTC")),
        "A policy and the day of its last use. 0: no use is known.",
    ),
    "CandidateCounts": described(
        a_tuple(
            described(TEXT, "uid"),
            described(_INTEGER, "generation"),
            described(_COUNT, "calls that were decided again"),
            described(_COUNT, "calls that were decided differently"),
        ),
        "What a candidate came to.",
    ),
    "Uses": an_object(
        ("memory", "used", "shadows"),
        memory=described(TEXT, "Names what this process remembers. Another name: it has begun to count again."),
        used=described(a_list(ref("PolicyDay")), "Those of the request that were used on a later day."),
        shadows=described(a_list(ref("CandidateCounts")), "Those of the request that are candidates."),
    ),
    "Checkpoint": an_object(
        ("checkpoint", "from", "proof", "key", "pod", "lost"),
        **{
            "checkpoint": described(TEXT, "A signed note with origin, size and root: docs/reference/chain.md."),
            "from": described(SIZE, "The size that was asked from."),
            "proof": described(a_list(TEXT), "That the log of this size is its beginning: hashes in base64."),
            "key": described(TEXT, "The public key of the process."),
            "pod": described(_TEXT_OR_NULL, "null outside a cluster."),
            "lost": described(_COUNT, "How many records this process lost. Not signed."),
            "refused": described(
                TEXT, "Why the checkpoint of the operator's log was not taken. Absent if it was, or if none was sent."
            ),
        },
    ),
    "CheckpointRefusal": an_object(
        ("error",),
        error=TEXT,
        sizes=described(a_list(SIZE), "With 409: the sizes that there is a proof from."),
    ),
    "Mistake": described(TEXT, "A line that says what the request must be."),
    "Problem": described(
        an_object(
            ("type", "title", "status", "detail"),
            type={"type": "string", "format": "uri"},
            title=TEXT,
            status=_INTEGER,
            detail=TEXT,
            field=TEXT,
            reason={"const": "overloaded"},
        ),
        "Too many requests wait, or the body is incomplete or too slow (RFC 9457). Nothing was answered.",
    ),
}
"""Of answers."""
