"""What the page of one grant says, and in which order: the ten things that somebody who approves has to have read.

Standing: above `grantfacts`, of which it is one skin; the templates only lay out. Holds: pure; nothing is left out and
nothing folded in; what is not known is said to be that, and why.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bailiwick_console.grants.timeline import GrantEvent, grant_events
from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.display import Line, legible, legible_escaped
from bailiwick_governance.grants import grantfacts, policyfacts, steps
from bailiwick_governance.grants.grantfacts import Fact, FactRows, GrantFact
from bailiwick_governance.grants.grantview import GrantStepView, GrantView, exact_span, moment, span
from bailiwick_governance.grants.overlaps import find_overlaps
from bailiwick_governance.signing.enrolledkeys import UNREAD_KEYS, EnrolledKeys
from bailiwick_governance.views.requesthistories import RequestHistories, history_facts

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PageSection:
    """One of the ten. `key` is the anchor of its heading; `words` stand in a box of their own, said to be untrusted.

    `stored`: as JSON what rows above have, each value in one of its own; it may be folded.
    """

    key: str
    title: str
    facts: tuple[Fact, ...]
    words: str = ""
    stored: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class PageContext:
    """What is known beside the grant. None: it could not be read, and `unread` says why.

    `missing`: for each step that the person lacks a right to review, which one it is. `histories`: none once the grant
    has ended.
    """

    me: CurrentUser
    grants: Sequence[GrantView] | None
    policies: Sequence[Object] | None
    missing: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    histories: RequestHistories = field(default_factory=RequestHistories)
    keys: EnrolledKeys = UNREAD_KEYS


@dataclass(frozen=True, slots=True)
class GrantPage:
    """The page. `steps` are those that the person can fill now; where there is none, `cannot` says why.

    `groups`: for each of these steps that names several groups, the one that is recorded. `left`: so many seconds are
    left of it; None: it has ended. `events`: what happened to it until now.
    """

    grant: GrantView
    sections: tuple[PageSection, ...]
    steps: tuple[GrantStepView, ...]
    cannot: str
    revocable: bool
    sentence: Line
    groups: Mapping[str, str]
    left: int | None
    events: tuple[GrantEvent, ...]


def compose(grant: GrantView, context: PageContext) -> GrantPage:
    """Return the page of a grant as it stands."""
    mine = tuple(steps.reviewable(grant, context.me))
    policies = _why("policies", context) if context.policies is None else context.policies
    others = None if context.grants is None else find_overlaps(grant, context.grants)
    sections = (
        PageSection("who", "Who is calling", (*_parties(grant), *policyfacts.proof(grant, policies))),
        PageSection("what", "Requested action", tuple(_action(grant))),
        PageSection(
            "call",
            "Arguments",
            (*grantfacts.arguments(grant), *grantfacts.binding(grant)),
            stored=tuple(grantfacts.stored_parties(grant)),
        ),
        PageSection("yes", "If you approve", (*grantfacts.permission(grant, others), *_width(grant))),
        PageSection("why", "Why approval is required", tuple(_origin(grant, policies, context.histories))),
        PageSection("change", "Compared with the last approved call", tuple(_since(grant, context))),
        PageSection("reviews", "Who must approve", tuple(grantfacts.reviewers(grant, context.keys))),
        PageSection("no", "If you deny or do nothing", tuple(_otherwise(grant))),
        PageSection("words", "The requester's reason", (), grantfacts.requester_words(grant) or "None given."),
        PageSection("you", "You act as", tuple(_you(context.me))),
    )
    allowed = tuple(step for step in mine if step.name not in context.missing)
    cannot = "" if allowed else _cannot(grant, context, mine)
    revocable = not grant.ended and grant.raw["spec"].get("revocation") is None
    groups = dict(_groups(allowed, context.me))
    left = None if grant.until is None else max(int(moment(grant.until) - grant.now), 0)
    sentence = call_sentence(grant)
    return GrantPage(grant, sections, allowed, cannot, revocable, sentence, groups, left, grant_events(grant))


def call_sentence(grant: GrantView) -> Line:
    """Return the call in short: what is to be done, to what, and by whom."""
    request = grant.request
    return [
        *((legible(request["action"]["name"]), "bold"), (" on ", "plain"), *grantfacts.resource_pieces(grant)),
        *((" by ", "plain"), (legible(request["subject"]["id"]), "bold")),
    ]


def _parties(grant: GrantView) -> Iterator[Fact]:
    """Yield who calls, through whom and what for: each text in a row of its own, so that none is taken for another."""
    request = grant.request
    yield _members("Subject", request["subject"], ("type", "id"))
    actors = request.get("actors") or ()
    for number, actor in enumerate(actors, 1):
        yield _members("Actor" if len(actors) == 1 else f"Actor {number}", actor, ("issuer", "id"))
    if not actors:
        yield _fact("Actors", "none: the subject calls directly")
    intent = request.get("intent")
    yield _fact("Intent", legible(intent) if intent else "none declared")


def _action(grant: GrantView) -> Iterator[Fact]:
    request = grant.request
    yield _fact("Action", legible(request["action"]["name"]), "bold")
    yield _members("Resource", {name: request["resource"][name] for name in ("type", "id")}, ("type", "id"))
    if properties := request["resource"].get("properties"):
        yield _members("Properties", properties)


def _members(label: str, values: Mapping[str, Any], first: Sequence[str] = ()) -> FactRows:
    """Return a row for each of these values, those of the names in `first` before the others."""
    names = [*(name for name in first if name in values), *sorted(values.keys() - set(first))]
    rows = tuple([(legible(name), ""), (legible(values[name]), "bold")] for name in names)
    return FactRows(label, rows, aligned=True)


def _groups(fillable: Sequence[GrantStepView], me: CurrentUser) -> Iterator[tuple[str, str]]:
    for step in fillable:
        group = steps.group_of(step, me)
        if group is not None and len(step.groups) > 1:
            yield step.name, group


def _cannot(grant: GrantView, context: PageContext, mine: Sequence[GrantStepView]) -> str:
    me = context.me
    if grant.phase != "Pending":
        return f"It is {legible(grant.phase)}: it can no longer be reviewed."
    if grant.has_review_by(me.username):
        return "You have reviewed it already. Each reviewer can review a request only once."
    if grant.is_party(me.username):
        return "You take part in this call, so someone else has to review it."
    if not mine:
        wanted = "; ".join(
            f"{legible(step.name)} requires a {legible(step.kind)} in"
            f" {' or '.join(legible(group) for group in step.groups) or 'any group'}"
            for step in grant.steps
            if not step.met
        )
        return f"You cannot review any of the open steps: {wanted}." if wanted else "Every step is met."
    return f"You are not allowed to review this: {context.missing[mine[0].name]} is missing."


def _origin(grant: GrantView, policies: policyfacts.Policies, histories: RequestHistories) -> Iterator[Fact]:
    yield from grantfacts.origin(grant)
    yield from policyfacts.conditions(grant, policies)
    yield from history_facts(grant, histories)


def _width(grant: GrantView) -> Iterator[Fact]:
    if grant.request["binding"]["mode"] == "Scope":
        yield _fact("Covers", "a class of calls: every call of this subject, action and resource", "yellow")
    elif grantfacts.hides(grant):
        yield _fact("Covers", "exactly this call, to the last byte, also where you are not shown it", "yellow")
    else:
        yield _fact("Covers", "exactly this call, to the last byte. A call with other arguments needs another approval")


def _since(grant: GrantView, context: PageContext) -> Iterator[Fact]:
    if context.grants is None:
        yield _unknown_fact("Before", "grants", context)
        return
    action = legible(grant.request["action"]["name"])
    others = [other for other in context.grants if other.uid != grant.uid]
    mine = [other for other in others if _kin(grant, other) and _approved_by(other, context.me.username)]
    if mine:
        last = _newest(mine)
        age = span(grant.now - moment(last.raw["metadata"]["creationTimestamp"]))
        yield _fact(
            "Your last approval",
            f"{legible(last.name)}, requested {age} ago (approvals of yours that are still stored: {len(mine)})",
        )
    else:
        said = f"You have not approved {action} on this endpoint before, as far as grants are still stored."
        yield _fact("First time", said, "yellow")
        approved = [other for other in others if other.status.get("approvedTime") and _shares_rule(grant, other)]
        if not approved:
            yield _fact("Others", "No approved call of the same rule is stored")
            return
        last = _newest(approved)
        age = span(grant.now - moment(last.raw["metadata"]["creationTimestamp"]))
        by = ", ".join(legible(one["reviewer"]) for one in last.reviews if one["decision"] == "Approve") or "somebody"
        yield _fact("Last approved call", f"{legible(last.name)}, requested {age} ago, approved by {by}")
    if changes := tuple(_changes(_fact_values(last), _fact_values(grant))):
        yield FactRows("Different now", changes, aligned=True)
    else:
        yield _fact("Different now", "nothing that is shown")


def _approved_by(grant: GrantView, username: str) -> bool:
    return any(review["reviewer"] == username and review["decision"] == "Approve" for review in grant.reviews)


def _newest(grants: Sequence[GrantView]) -> GrantView:
    return max(grants, key=lambda one: moment(one.raw["metadata"]["creationTimestamp"]))


def _shares_rule(grant: GrantView, other: GrantView) -> bool:
    """Tell whether a rule of this endpoint requires the approval of both."""
    rules, its = ({(one["policy"], one["rule"]) for one in each.request["rules"]} for each in (grant, other))
    return grant.request["endpoint"] == other.request["endpoint"] and not rules.isdisjoint(its)


def _kin(grant: GrantView, other: GrantView) -> bool:
    mine, its = grant.request, other.request
    return bool((mine["endpoint"], mine["action"]["name"]) == (its["endpoint"], its["action"]["name"]))


def _fact_values(grant: GrantView) -> dict[str, str]:
    """Return what is compared with an earlier call: each value under its name.

    Two calls that differ have two values: no text of others is joined to another one, or stands for what is not there.
    """
    request = grant.request
    values = {str(item["name"]): str(item["value"]) for item in request.get("display") or ()}
    values |= {f"property {name}": str(value) for name, value in (request["resource"].get("properties") or {}).items()}
    parties = {"subject": request["subject"]}
    parties |= {f"actor {number}": actor for number, actor in enumerate(request.get("actors") or (), 1)}
    for name, party in parties.items():
        values |= {f"{name}, {member}": str(value) for member, value in party.items() if value}
    for rule in request["rules"]:
        values[f"rule {rule['policy']}/{rule['rule']}"] = str(rule.get("ruleDigest") or "asks")
    for step in grant.steps:
        groups = json.dumps(step.groups) if step.groups else "any group"
        signed = f", signed: {step.signature}" if step.signature else ""
        values[f"step {step.name}"] = f"{step.count} {step.kind} of {groups}{signed}"
    if intent := request.get("intent"):
        values["intent"] = str(intent)
    return values | {
        "action": str(request["action"]["name"]),
        "resource type": str(request["resource"]["type"]),
        "resource id": str(request["resource"]["id"]),
        "requester": f"{request['requester']['username']} ({request['origin']})",
        "excluded": json.dumps(sorted(grant.excluded)),
        "bound context": json.dumps(request["binding"].get("members")),
        "binding": str(request["binding"]["mode"]),
        "uses": str(request["maxUses"]),
        "window": exact_span(request["windowSeconds"]),
    }


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[list[tuple[str, str]]]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old != new:
            yield [(_escape(name), ""), (_escape(old), "dim"), (" → ", ""), (_escape(new), "bold")]


def _escape(text: str | None) -> str:
    # What the decision point rendered is escaped already; nothing that cannot be seen gets through either way.
    return "(not there)" if text is None else legible_escaped(text)


def _otherwise(grant: GrantView) -> Iterator[Fact]:
    if grant.phase != "Pending":
        yield _fact("Now", f"It is {legible(grant.phase)}. No review is expected.")
        yield from grantfacts.status(grant)
        return
    yield _fact("Deny", "The request ends for good and the call stays denied. It can be requested again later.")
    yield _fact("Do nothing", f"The request expires{grantfacts.deadline_clause(grant)}. Until then the call is denied.")
    yield from grantfacts.status(grant)


def _you(me: CurrentUser) -> Iterator[Fact]:
    yield _fact("User", legible(me.username), "bold")
    yield _fact("Groups", ", ".join(legible(group) for group in me.groups) or "none")


def _unknown_fact(label: str, what: str, context: PageContext) -> GrantFact:
    return _fact(label, f"not known: {legible(_why(what, context))}", "yellow")


def _why(what: str, context: PageContext) -> str:
    return context.unread.get(what, "it was not read")


def _fact(label: str, value: str, style: str = "") -> GrantFact:
    return GrantFact(label, [(value, style)])
