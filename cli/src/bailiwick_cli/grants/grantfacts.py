"""What there is to know of a grant, as labelled facts: the one renderer, of which terminal and console are two skins.

Standing: above `grantview`; `show`, `approve` and `deny` print these lines, the console's page has them in its order.
Holds: everything that `spec.request` binds is told, nothing is cut, and every text of others is escaped here; the
requester's own words are a group of their own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_cli.grants.grantview import GrantView, moment, span
from bailiwick_cli.output import Line, of_phase, rendered
from bailiwick_engine.approval.binding import ARGS_DIGEST
from bailiwick_engine.approval.display import visible

# What has its own place below. A member that this version does not know is told as it is.
_KNOWN: Final = {
    *("endpoint", "rules", "requester", "subject", "actors", "excludedReviewers", "action", "resource", "intent"),
    *("binding", "display", "reason", "steps", "origin", "pendingUntilTime", "windowSeconds", "maxUses"),
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


Told = GrantFact | FactRows


def named(grant: GrantView) -> Iterator[Told]:
    """Yield which grant it is, and how it stands."""
    yield _fact("Name", f"{visible(grant.name)} in {visible(grant.namespace)}")
    yield GrantFact("Phase", [of_phase(grant.phase), (until(grant), "")])
    yield _fact("Endpoint", visible(grant.request["endpoint"]))


def act(grant: GrantView) -> Iterator[Told]:
    """Yield what is to be done, and to what."""
    request = grant.request
    yield _fact("Action", visible(request["action"]["name"]), "bold")
    yield _fact("Resource", f"{visible(request['resource']['type'])}/{visible(request['resource']['id'])}", "bold")
    for name, value in sorted((request["resource"].get("properties") or {}).items()):
        yield _fact("", f"{visible(name)} = {visible(value)}")


def parties(grant: GrantView) -> Iterator[Told]:
    """Yield for whom, through whom, and what for."""
    request = grant.request
    yield _fact("Subject", _party(request["subject"]), "bold")
    if actors := request.get("actors"):
        # A line each: a name may hold whatever would stand between two.
        rows = tuple([(str(number), "dim"), (_party(actor), "")] for number, actor in enumerate(actors, 1))
        yield FactRows("Actors", rows, aligned=True)
    else:
        yield _fact("Actors", "none: the subject calls by itself")
    yield _fact("Intent", visible(request.get("intent") or "none declared"))


def arguments(grant: GrantView) -> Iterator[Told]:
    """Yield the call, as far as anybody is shown it, and say what nobody is shown."""
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
        yield _fact("Hidden", "Not all of the call is shown. A yes covers the rest of it, unseen", "yellow")
    if items:
        yield FactRows("Call", tuple(_shown(item) for item in items), aligned=True)


def hides(grant: GrantView) -> bool:
    """Tell whether a yes covers values of the call that nobody is shown, as far as the grant itself tells."""
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


def _shown(item: Mapping[str, Any]) -> Line:
    style = "yellow" if _UNSHOWN.items() <= item.items() else "bold"
    return [(rendered(item["name"]), ""), (rendered(item["value"]), style)]


def asked(grant: GrantView) -> Iterator[Told]:
    """Yield who asked, and by which rules somebody has to be asked."""
    request = grant.request
    told = {"OnDeny": ", after a denied call", "PreApproved": ", in advance and by hand"}
    yield _fact("Requester", f"{visible(request['requester']['username'])}{told.get(request['origin'], '')}")
    yield _fact("Rules", ", ".join(f"{visible(rule['policy'])}/{visible(rule['rule'])}" for rule in request["rules"]))


def gives(grant: GrantView, others: Sequence[GrantView] = ()) -> Iterator[Told]:
    """Yield what a yes lets through; `others` are grants that let such a call through, too."""
    yield _fact("Allows", _unlocks(grant))
    if others:
        told = "; ".join(f"{visible(other.name)} also allows such calls{until(other)}" for other in others)
        yield _fact("Overlap", told, "yellow")


def bound(grant: GrantView) -> Iterator[Told]:
    """Yield what a review is bound to, and whatever else of the request this version does not know."""
    request = grant.request
    binding = request["binding"]
    yield _fact("Binding", f"{visible(binding['mode'])} {visible(grant.binding)}")
    if binding.get("members") is not None:
        told = ", ".join(visible(name) for name in binding["members"])
        yield _fact("Bound", f"subject, action and resource; of the context {told or 'nothing'}")
    for name in sorted(request.keys() - _KNOWN):
        yield _fact(visible(name), visible(json.dumps(request[name], sort_keys=True)))


def reviewers(grant: GrantView) -> Iterator[Told]:
    """Yield whose yes is needed, and who has said what."""
    if grant.excluded:
        yield _fact("Excluded", ", ".join(visible(one) for one in grant.excluded) + " (not allowed to review)")
    yield FactRows("Steps", tuple(_step_rows(grant)))
    yield FactRows("Reviews", tuple(_review_rows(grant)), note="" if grant.reviews else "none yet")
    if revocation := grant.raw["spec"].get("revocation"):
        said = f": {visible(revocation['reason'])}" if revocation.get("reason") else ""
        yield _fact("Revoked by", f"{visible(revocation['by'])}{said}", "red")


def standing(grant: GrantView) -> Iterator[Told]:
    """Yield what Bailiwick says of it: what names by hand stand for, and why it is not further."""
    if resolved := grant.status.get("resolved"):
        yield _fact("Resolved", f"the subject has the uid {visible(resolved['subjectUID'])}")
    for condition in grant.status.get("conditions") or ():
        if condition.get("message"):
            yield _fact(visible(condition["type"]), f"{visible(condition['status'])}, {visible(condition['message'])}")


def words(grant: GrantView) -> str:
    """Return the requester's own words, escaped; nothing where there are none."""
    return visible(grant.request.get("reason") or "")


def until(grant: GrantView) -> str:
    """Return until when it waits or can be used, as the end of a sentence."""
    if grant.until is None:
        return ""
    return f", until {visible(grant.until)} (in {span(moment(grant.until) - grant.now)})"


def _step_rows(grant: GrantView) -> Iterator[Line]:
    for step in grant.steps:
        groups = f", from {' or '.join(visible(group) for group in step.groups)}" if step.groups else ""
        done = ("green" if step.met else "") if grant.phase == "Pending" else ""
        yield [
            (f"{visible(step.name)}: ", ""),
            (f"{step.approvals} of {step.count}", done),
            (f" {visible(step.kind)}{groups}", ""),
        ]


def _review_rows(grant: GrantView) -> Iterator[Line]:
    counted = {entry["reviewer"]: entry.get("time") for entry in grant.status.get("counted") or ()}
    void = {entry["reviewer"] for entry in grant.status.get("voided") or ()}
    for review in grant.reviews:
        style = "green" if review["decision"] == "Approve" else "red"
        said = f": {visible(review['reason'])}" if review.get("reason") else ""
        lost = " (void: not counted)" if review["reviewer"] in void else ""
        since = counted.get(review["reviewer"])
        when = f", counted {visible(since)}" if since else ""
        yield [
            (f"{visible(review['reviewer'])} ", ""),
            (visible(review["decision"]), style),
            (f" {visible(review['step'])}{when}{said}{lost}", ""),
        ]


def _unlocks(grant: GrantView) -> str:
    left = grant.max_uses - grant.uses
    uses = f"{left} of {grant.max_uses} {'use' if grant.max_uses == 1 else 'uses'}"
    if grant.phase == "Active":
        return f"{uses}{until(grant)}"
    if grant.ended:
        return "no more calls"
    return f"{uses}, within {span(grant.request['windowSeconds'])} of the approval"


def _party(party: Mapping[str, Any]) -> str:
    uid = f" (uid {visible(party['uid'])})" if party.get("uid") else ""
    kind = f"{visible(party['type'])} " if party.get("type") else ""
    issuer = f" of {visible(party['issuer'])}" if party.get("issuer") else ""
    return f"{kind}{visible(party['id'])}{issuer}{uid}"


def _fact(label: str, value: str, style: str = "") -> GrantFact:
    return GrantFact(label, [(value, style)])
