"""What there is to know of a grant, as labelled facts: the one renderer, of which terminal and console are two skins.

Standing: above `grantview`; `show`, `approve` and `deny` print these lines, the console's page has them in its order.
Holds: everything that `spec.request` binds is shown, nothing is cut, and every text of others is escaped here; the
requester's own words are a group of their own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_engine.approval.binding import ARGS_DIGEST
from bailiwick_governance.display import Line, legible, legible_escaped, phase_piece
from bailiwick_governance.grants.grantview import GrantStepView, GrantView, exact_span, moment, span
from bailiwick_governance.grants.signedreviews import signature_pieces
from bailiwick_governance.signing.enrolledkeys import UNREAD_KEYS, EnrolledKeys

# What has its own place below, with the members of it that have one. What this version does not know is shown as it is.
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("endpoint", "excludedReviewers", "intent", "reason", "origin"), frozenset()),
    **dict.fromkeys(("pendingUntilTime", "windowSeconds", "maxUses"), frozenset()),
    "rules": frozenset({"policy", "uid", "rule", "ruleDigest"}),
    "requester": frozenset({"username", "uid"}),
    "subject": frozenset({"type", "id", "uid"}),
    "actors": frozenset({"issuer", "id", "uid"}),
    "action": frozenset({"name"}),
    "resource": frozenset({"type", "id", "properties"}),
    "binding": frozenset({"mode", "digest", "members", "request"}),
    "idempotency": frozenset({"key", "request"}),
    "display": frozenset({"name", "value"}),
    "steps": frozenset({"name", "policy", "kind", "groups", "count", "signature"}),
}
# Whose texts stand side by side above, so that one could be taken for two.
_AS_STORED: Final = ("subject", "actors", "action", "resource")
_SIGNED: Final = {
    "Key": ", signed by an enrolled key",
    "Required": ", signed by an enrolled key that verifies its user",
}
# How the decision point says that it has the digest of the arguments alone.
_UNSHOWN: Final = {"name": "args", "value": "not shown"}


@dataclass(frozen=True, slots=True)
class GrantFact:
    """One thing to know. `value` are pieces of text, escaped, each with its style; no label: it goes on."""

    label: str
    value: Line


@dataclass(frozen=True, slots=True)
class FactRows:
    """Several things of one kind. `note` stands beside the heading; `aligned`: the first pieces are a column."""

    label: str
    rows: tuple[Line, ...]
    note: str = ""
    aligned: bool = False


Fact = GrantFact | FactRows


def identity(grant: GrantView) -> Iterator[Fact]:
    """Yield which grant it is, and how it stands."""
    yield _fact("Name", f"{legible(grant.name)} in {legible(grant.namespace)}")
    yield GrantFact("Phase", [phase_piece(grant.phase), (deadline_clause(grant), "")])
    yield _fact("Endpoint", legible(grant.request["endpoint"]))


def action(grant: GrantView) -> Iterator[Fact]:
    """Yield what is to be done, and to what."""
    request = grant.request
    yield _fact("Action", legible(request["action"]["name"]), "bold")
    yield GrantFact("Resource", resource_pieces(grant))
    if properties := request["resource"].get("properties"):
        rows = tuple([(legible(name), ""), (legible(value), "bold")] for name, value in sorted(properties.items()))
        yield FactRows("Properties", rows, aligned=True)


def resource_pieces(grant: GrantView) -> Line:
    """Return the resource in short. Type and id are pieces of their own, so that neither moves the other."""
    resource = grant.request["resource"]
    return [(legible(resource["type"]), "bold"), ("/", "bold"), (legible(resource["id"]), "bold")]


def parties(grant: GrantView) -> Iterator[Fact]:
    """Yield for whom, through whom, and what for."""
    request = grant.request
    yield GrantFact("Subject", _party(request["subject"], "bold"))
    if actors := request.get("actors"):
        # A line each: a name may hold whatever would stand between two.
        rows = tuple([(str(number), "dim"), *_party(actor, "bold")] for number, actor in enumerate(actors, 1))
        yield FactRows("Actors", rows, aligned=True)
    else:
        yield _fact("Actors", "none: the subject calls by itself")
    intent = request.get("intent")
    yield _fact("Intent", legible(intent) if intent else "none declared")


def arguments(grant: GrantView) -> Iterator[Fact]:
    """Yield the call, as far as it is shown, and say what is not."""
    items, binding = grant.request.get("display") or (), grant.request["binding"]
    if binding["mode"] == "Scope":
        yield _fact("Call", "any call in this scope, with any arguments", "yellow")
        return
    members = binding.get("members")
    if members is not None and ARGS_DIGEST not in members:
        # The digest covers all members that there are.
        yield _fact("Arguments", "none")
    elif not items:
        yield _fact("Arguments", "not shown", "yellow")
    if hides(grant):
        yield _fact("Hidden", "Not all of the call is shown. An approval covers the rest of it, unseen", "yellow")
    if items:
        yield FactRows("Call", tuple(_display_line(item) for item in items), aligned=True)


def hides(grant: GrantView) -> bool:
    """Tell whether an approval covers values of the call that are not shown, as far as the grant itself tells."""
    request = grant.request
    items, binding = request.get("display") or (), request["binding"]
    if binding["mode"] == "Scope":
        return False
    if any(_UNSHOWN.items() <= item.items() for item in items):
        return True
    # By pointers, of which every one begins so, or finds nothing: it is the policy that says what is shown.
    if any(item["name"].startswith("/") or item["name"] == "absent" for item in items):
        return True
    # What the digest covers of the context has a row each, but for what has its place elsewhere.
    return not items and not set(binding.get("members") or ()) <= {"intent"}


def _display_line(item: Mapping[str, Any]) -> Line:
    style = "yellow" if _UNSHOWN.items() <= item.items() else "bold"
    return [(legible_escaped(item["name"]), ""), (legible_escaped(item["value"]), style)]


def origin(grant: GrantView) -> Iterator[Fact]:
    """Yield who asked, and by which rules somebody has to be asked."""
    request = grant.request
    ways = {"OnDeny": ", after a denied call", "PreApproved": ", in advance and by hand"}
    yield GrantFact(
        "Requester", [(legible(request["requester"]["username"]), ""), (ways.get(request["origin"], ""), "")]
    )
    yield _fact("Rules", ", ".join(f"{legible(rule['policy'])}/{legible(rule['rule'])}" for rule in request["rules"]))


def permission(grant: GrantView, others: Sequence[GrantView] | None = ()) -> Iterator[Fact]:
    """Yield what a yes lets through; `others` are grants that let such a call through, too, None where not known."""
    yield _fact("Allows", _unlocks(grant))
    if others is None:
        yield _fact("Overlap", "not known: the other grants of the namespace cannot be listed", "yellow")
    elif others:
        allowing = [f"{legible(other.name)} also allows such calls{deadline_clause(other)}" for other in others]
        yield _fact("Overlap", "; ".join(allowing), "yellow")


def binding(grant: GrantView) -> Iterator[Fact]:
    """Yield what a review is bound to, and whatever else of the request this version does not know."""
    request = grant.request
    binding = request["binding"]
    yield _fact("Binding", f"{legible(binding['mode'])} {legible(grant.binding)}")
    if binding.get("members") is not None:
        members = ", ".join(legible(name) for name in binding["members"])
        yield _fact("Bound", f"subject, action and resource; of the context {members or 'nothing'}")
    if (remembered := binding.get("request")) is not None:
        yield _fact("Cool-down", f"a denial also holds for requests with the digest {legible(remembered)}")
    if (sent := request.get("idempotency")) is not None:
        key, body = legible(sent["key"]), legible(sent["request"])
        yield _fact("Repeats", f"the same request ({body}) with the same Idempotency-Key ({key}) returns this grant")
    for name, value in _unknown(request):
        yield _fact(legible(name), _json_text(value))


def stored_parties(grant: GrantView) -> Iterator[Fact]:
    """Yield subject, actors, action and resource as JSON, in which no text can be taken for another."""
    request = grant.request
    yield _fact("As stored", _json_text({name: request[name] for name in _AS_STORED if name in request}))


def _unknown(request: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield what a newer version may have put into the request, wherever it is, by its path."""
    for name, value in sorted(request.items()):
        if name not in _KNOWN:
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{member}", value[member]) for member in sorted(value.keys() - _KNOWN[name]))
        elif isinstance(value, list):
            for place, entry in enumerate(value):
                extra = entry.keys() - _KNOWN[name] if isinstance(entry, Mapping) else ()
                yield from ((f"{name}[{place}].{member}", entry[member]) for member in sorted(extra))


def _json_text(value: object) -> str:
    """Write a part of the request as JSON in ASCII, in which no text can be taken for another."""
    return legible(json.dumps(value, sort_keys=True))


def reviewers(grant: GrantView, keys: EnrolledKeys = UNREAD_KEYS) -> Iterator[Fact]:
    """Yield who must approve, and each review with the key of these that signed it."""
    if grant.excluded:
        yield _fact("Excluded", ", ".join(legible(one) for one in grant.excluded) + " (not allowed to review)")
    yield FactRows("Steps", tuple(_step_rows(grant)))
    yield FactRows("Reviews", tuple(_review_rows(grant, keys)), note="" if grant.reviews else "none yet")
    if revocation := grant.raw["spec"].get("revocation"):
        said = f": {legible(revocation['reason'])}" if revocation.get("reason") else ""
        yield _fact("Revoked by", f"{legible(revocation['by'])}{said}", "red")


def status(grant: GrantView) -> Iterator[Fact]:
    """Yield what Bailiwick says of it: what names by hand stand for, and why it is not further."""
    if resolved := grant.status.get("resolved"):
        yield _fact("Resolved", f"the subject has the uid {legible(resolved['subjectUID'])}")
    for condition in grant.status.get("conditions") or ():
        if condition.get("message"):
            yield _fact(legible(condition["type"]), f"{legible(condition['status'])}, {legible(condition['message'])}")


def requester_words(grant: GrantView) -> str:
    """Return the requester's own words, escaped; nothing where there are none."""
    reason = grant.request.get("reason")
    return legible(reason) if reason else ""


def deadline_clause(grant: GrantView) -> str:
    """Return until when it waits or can be used, as the end of a sentence."""
    if grant.until is None:
        return ""
    return f", until {legible(grant.until)} (in {span(moment(grant.until) - grant.now)})"


def _step_rows(grant: GrantView) -> Iterator[Line]:
    for step in grant.steps:
        groups = f", from {' or '.join(legible(group) for group in step.groups)}" if step.groups else ""
        done = ("green" if step.met else "") if grant.phase == "Pending" else ""
        yield [
            (f"{legible(step.name)}: ", ""),
            (f"{step.approvals} of {step.count}", done),
            (f" {legible(step.kind)}{groups}{_signing_clause(step)}", ""),
        ]


def _signing_clause(step: GrantStepView) -> str:
    """Return which signature an approval of a step needs, as the end of a row."""
    if step.signature is None:
        return ""
    return _SIGNED.get(step.signature, f", signed ({legible(step.signature)})")


def _review_rows(grant: GrantView, keys: EnrolledKeys) -> Iterator[Line]:
    counted = {entry["reviewer"]: entry.get("time") for entry in grant.status.get("counted") or ()}
    void = {entry["reviewer"] for entry in grant.status.get("voided") or ()}
    for review in grant.reviews:
        style = "green" if review["decision"] == "Approve" else "red"
        said = f": {legible(review['reason'])}" if review.get("reason") else ""
        lost = " (void: not counted)" if review["reviewer"] in void else ""
        since = counted.get(review["reviewer"])
        when = f", counted {legible(since)}" if since else ""
        yield [
            (f"{legible(review['reviewer'])} ", ""),
            (legible(review["decision"]), style),
            (f" {legible(review['step'])}{when}{said}{lost}", ""),
            *signature_pieces(grant, review, keys),
        ]


def _unlocks(grant: GrantView) -> str:
    left = grant.max_uses - grant.uses
    uses = f"{left} of {grant.max_uses} {'use' if grant.max_uses == 1 else 'uses'}"
    if grant.phase == "Active":
        return f"{uses}{deadline_clause(grant)}"
    if grant.ended:
        return "no more calls"
    return f"{uses}, within {exact_span(grant.request['windowSeconds'])} of the approval"


def _party(party: Mapping[str, Any], style: str) -> Line:
    """Return pieces, one for each text, so that none of them moves another or is taken for it."""
    kind = [(legible(party["type"]), ""), (" ", "")] if party.get("type") else []
    issuer = [(" of ", "dim"), (legible(party["issuer"]), "")] if party.get("issuer") else []
    uid = [(" (uid ", "dim"), (legible(party["uid"]), ""), (")", "dim")] if party.get("uid") else []
    return [*kind, (legible(party["id"]), style), *issuer, *uid]


def _fact(label: str, value: str, style: str = "") -> GrantFact:
    return GrantFact(label, [(value, style)])
