"""`show`, and what `approve` and `deny` put before a person's eyes: the whole call, as the grant holds it.

Holds: everything that `spec.request` binds is shown, nothing is cut, and every text is escaped; the requester's own
words stand apart, last, and are said to be that.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bailiwick_cli import arguments, output
from bailiwick_cli.cluster import ClusterClient, connect, grants_path
from bailiwick_cli.errors import ApiError, Exit
from bailiwick_cli.flags import ShowFlags
from bailiwick_cli.grantview import GrantView, moment, span
from bailiwick_cli.options import Output
from bailiwick_cli.output import Line, rendered
from bailiwick_cli.overlaps import still_letting
from bailiwick_engine.approval.binding import ARGS_DIGEST
from bailiwick_engine.approval.display import visible

_WIDTH: Final = 13
# What has its own place below. A member that this version does not know is shown as it is.
_KNOWN: Final = {
    *("endpoint", "rules", "requester", "subject", "actors", "excludedReviewers", "action", "resource", "intent"),
    *("binding", "display", "reason", "steps", "origin", "pendingUntilTime", "windowSeconds", "maxUses"),
}


def run(options: ShowFlags) -> int:
    """Show one grant."""
    cluster = connect(options)
    name = arguments.grant_name(options.name)
    raw = cluster.get(grants_path(cluster.namespace, name))
    match options.output:
        case Output.JSON | Output.YAML:
            sys.stdout.write(output.document(raw, options.output))
        case Output.NAME:
            sys.stdout.write(output.reference(name) + "\n")
        case _:
            grant = GrantView(raw, time.time())
            output.write(described(grant, _others(cluster, grant)))
    return Exit.OK


def _others(cluster: ClusterClient, grant: GrantView) -> list[GrantView]:
    """Return which other approvals let such a call through; none where we may not list them."""
    try:
        items, _ = cluster.listed(grants_path(cluster.namespace))
    except ApiError:
        return []
    return still_letting(grant, [GrantView(one, time.time()) for one in items])


def described(grant: GrantView, others: Sequence[GrantView] = ()) -> Iterator[Line]:
    """Yield the lines that tell all of a grant; `others` are those that let such a call through, too."""
    request = grant.request
    yield _pair("Name", f"{visible(grant.name)} in {visible(grant.namespace)}")
    phase, style = output.of_phase(grant.phase)
    yield [*_label("Phase"), (phase, style), (_until(grant), "")]
    yield _pair("Endpoint", visible(request["endpoint"]))
    yield _pair("Action", visible(request["action"]["name"]), "bold")
    yield _pair("Resource", f"{visible(request['resource']['type'])}/{visible(request['resource']['id'])}", "bold")
    for name, value in sorted((request["resource"].get("properties") or {}).items()):
        yield _pair("", f"{visible(name)} = {visible(value)}")
    yield _pair("Subject", _party(request["subject"]), "bold")
    yield (
        _pair("Actors", "none: the subject calls by itself")
        if not request.get("actors")
        else _pair("Actors", " <- ".join(_party(actor) for actor in request["actors"]))
    )
    yield _pair("Intent", visible(request.get("intent") or "none declared"))
    yield from _call(grant)
    yield _pair("Requester", f"{_party_name(request['requester'])}{_origin(request['origin'])}")
    yield _pair("Rules", ", ".join(f"{visible(rule['policy'])}/{visible(rule['rule'])}" for rule in request["rules"]))
    yield _pair("Allows", _unlocks(grant))
    if others:
        told = "; ".join(f"{visible(other.name)} also allows such calls{_until(other)}" for other in others)
        yield _pair("Overlap", told, "yellow")
    yield _pair("Binding", f"{visible(request['binding']['mode'])} {visible(grant.binding)}")
    for name in sorted(request.keys() - _KNOWN):
        yield _pair(visible(name), visible(json.dumps(request[name], sort_keys=True)))
    if grant.excluded:
        yield _pair("Excluded", ", ".join(visible(one) for one in grant.excluded) + " (not allowed to review)")
    yield from _reviews(grant)
    yield from _status(grant)
    yield from _words(request)


def _call(grant: GrantView) -> Iterator[Line]:
    items, binding = grant.request.get("display") or (), grant.request["binding"]
    if binding["mode"] == "Scope":
        yield _pair("Call", "any call in this scope, with any arguments", "yellow")
        return
    members = binding.get("members")
    if members is not None and ARGS_DIGEST not in members:
        # The digest covers all members that there are.
        yield _pair("Arguments", "none")
    elif not items:
        yield _pair("Arguments", "not shown", "yellow")
    if not items:
        return
    yield [("Call:", "bold")]
    width = max(len(rendered(item["name"])) for item in items)
    for item in items:
        yield [(f"  {rendered(item['name']).ljust(width)}   ", ""), (rendered(item["value"]), "bold")]


def _reviews(grant: GrantView) -> Iterator[Line]:
    yield [("Steps:", "bold")]
    for step in grant.steps:
        groups = f", from {' or '.join(visible(group) for group in step.groups)}" if step.groups else ""
        done = ("green" if step.met else "") if grant.phase == "Pending" else ""
        yield [
            (f"  {visible(step.name)}: ", ""),
            (f"{step.approvals} of {step.count}", done),
            (f" {visible(step.kind)}{groups}", ""),
        ]
    counted = {entry["reviewer"]: entry.get("time") for entry in grant.status.get("counted") or ()}
    void = {entry["reviewer"] for entry in grant.status.get("voided") or ()}
    yield [("Reviews:", "bold"), ("" if grant.reviews else " none yet", "")]
    for review in grant.reviews:
        style = "green" if review["decision"] == "Approve" else "red"
        said = f": {visible(review['reason'])}" if review.get("reason") else ""
        lost = " (void: not counted)" if review["reviewer"] in void else ""
        since = counted.get(review["reviewer"])
        when = f", counted {visible(since)}" if since else ""
        yield [
            (f"  {visible(review['reviewer'])} ", ""),
            (visible(review["decision"]), style),
            (f" {visible(review['step'])}{when}{said}{lost}", ""),
        ]
    if revocation := grant.raw["spec"].get("revocation"):
        said = f": {visible(revocation['reason'])}" if revocation.get("reason") else ""
        yield _pair("Revoked by", f"{visible(revocation['by'])}{said}", "red")


def _status(grant: GrantView) -> Iterator[Line]:
    """Yield what Bailiwick says of it: what names by hand stand for, and why it is not further."""
    if resolved := grant.status.get("resolved"):
        yield _pair("Resolved", f"the subject has the uid {visible(resolved['subjectUID'])}")
    for condition in grant.status.get("conditions") or ():
        if condition.get("message"):
            yield _pair(visible(condition["type"]), f"{visible(condition['status'])}, {visible(condition['message'])}")


def _words(request: Mapping[str, Any]) -> Iterator[Line]:
    if request.get("reason"):
        yield [("The requester's own words (unverified):", "bold")]
        yield [("  | ", "dim"), (visible(request["reason"]), "italic")]


def _unlocks(grant: GrantView) -> str:
    left = grant.max_uses - grant.uses
    uses = f"{left} of {grant.max_uses} {'use' if grant.max_uses == 1 else 'uses'}"
    if grant.phase == "Active":
        return f"{uses}{_until(grant)}"
    if grant.ended:
        return "no more calls"
    return f"{uses}, within {span(grant.request['windowSeconds'])} of the approval"


def _until(grant: GrantView) -> str:
    if grant.until is None:
        return ""
    return f", until {visible(grant.until)} (in {span(moment(grant.until) - grant.now)})"


def _party(party: Mapping[str, Any]) -> str:
    uid = f" (uid {visible(party['uid'])})" if party.get("uid") else ""
    kind = f"{visible(party['type'])} " if party.get("type") else ""
    issuer = f" of {visible(party['issuer'])}" if party.get("issuer") else ""
    return f"{kind}{visible(party['id'])}{issuer}{uid}"


def _party_name(requester: Mapping[str, Any]) -> str:
    return visible(requester["username"])


def _origin(origin: str) -> str:
    told = {"OnDeny": ", after a denied call", "PreApproved": ", in advance and by hand"}
    return told.get(origin, "")


def _pair(label: str, value: str, style: str = "") -> Line:
    return [*_label(label), (value, style)]


def _label(label: str) -> Line:
    return [((f"{label}:" if label else "").ljust(_WIDTH) + " ", "bold" if label else "")]
