"""The decision once more, slowly and from the design's text alone, to hold the engine against.

Holds: knows nothing of the engine; it reads policies, grants and calls as plain objects, and of a policy that does not
compile or a condition that fails it is told so by whoever made it. No index, no early way out, no cleverness.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Object = Mapping[str, Any]
Truth = Literal["true", "false", "error"]


@dataclass(frozen=True)
class Facts:
    """What is true of a stored policy by the way in which it was made."""

    raw: Object
    compiles: bool = True
    endpoint_readable: bool = True
    subjects_readable: bool = True
    settings_readable: bool = True


@dataclass(frozen=True)
class World:
    """Everything that a decision is made from. `call.subject` is a reason where nobody is proven."""

    policies: Sequence[Facts]
    call: Object
    grants: Sequence[Object]
    now: float
    truths: Mapping[str, Truth]
    """What each expression comes to for this call."""
    rule_digests: Mapping[tuple[str, str], str]
    """By policy uid and rule."""
    freshness: Literal["fresh", "stale", "dead"] = "fresh"
    guard_proven: bool = True
    people: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """What must come of it."""

    outcome: str
    reason: str
    grants: tuple[str, ...] = ()
    dry_run: bool = False


FORBIDDEN = Answer("forbidden", "no_rule")


def decide(world: World) -> Answer:  # noqa: C901, PLR0911, PLR0912 - one clause after the other, as the design has them
    """Follow the clauses of "A decision" one after the other."""
    call = world.call
    here = [
        facts
        for facts in world.policies
        if facts.raw["metadata"]["namespace"] == call["namespace"]
        and facts.endpoint_readable
        and facts.raw["spec"]["endpoint"] == call["endpoint"]
    ]
    # 1. Who may ask.
    carriers = [facts for facts in here if facts.raw["spec"].get("endpointSettings")]
    enforcers = [
        _username(account)
        for facts in carriers
        if facts.settings_readable
        for account in facts.raw["spec"]["endpointSettings"]["enforcers"]
    ]
    enforcing = call["caller"]["username"] in enforcers
    if not here:
        return FORBIDDEN
    if not enforcing and not _asks_about_itself(call, here):
        return FORBIDDEN
    dry_run = call.get("dry_run", False) or not enforcing
    if world.freshness == "dead":
        return Answer("deny", "store_stale", dry_run=dry_run)
    # 2. Endpoint configured and compiled.
    if _denied_to_everybody(world, here, carriers):
        return Answer("deny", "policy_invalid", dry_run=dry_run)
    if not carriers:
        return Answer("deny", "endpoint_unconfigured", dry_run=dry_run)
    # 3. Subject proven; then the policies that speak of it compile.
    if isinstance(call["subject"], str):
        return Answer("deny", call["subject"], dry_run=dry_run)
    for facts in here:
        if not facts.compiles and not _audits(facts) and call["subject"]["id"] in _all_subjects(facts):
            return Answer("deny", "policy_invalid", dry_run=dry_run)
    # 4. The rules that speak of the call.
    found = [
        (facts, rule, *_standing(world, facts, rule))
        for facts in here
        if facts.compiles and not _audits(facts)
        for rule in facts.raw["spec"]["rules"]
        if _speaks(facts, rule, call)
    ]
    # 5. Strictest wins. A Deny that is not decided says something only of a call that another rule speaks for.
    spoken_for = any(standing != "silent" and rule["effect"] != "Deny" for _, rule, standing, _ in found)
    for reason in ("policy_denied", *(("condition_error",) if spoken_for else ())):
        if any((effect, why) == ("denies", reason) and rule["effect"] == "Deny" for _, rule, effect, why in found):
            return Answer("deny", reason, dry_run=dry_run)
    for reason in ("condition_error", "intent_mismatch", "expired", "policy_suspended"):
        if any((standing, why) == ("denies", reason) and rule["effect"] != "Deny" for _, rule, standing, why in found):
            return Answer("deny", reason, dry_run=dry_run)
    gates = [(facts, rule) for facts, rule, standing, _ in found if standing == "asks"]
    if len(gates) > 4:
        return Answer("deny", "multiple_gates", dry_run=dry_run)
    if gates:
        outcome, reason, grants = _approval(world, gates)
        return Answer(outcome, reason, grants, dry_run)
    if any(standing == "allows" for _, _, standing, _ in found):
        return Answer("allow", "allowed", dry_run=dry_run)
    for reason in ("condition_false", "condition_error", "intent_mismatch", "expired", "policy_suspended"):
        if any(rule["effect"] == "Allow" and why == reason for _, rule, _, why in found):
            return Answer("deny", reason, dry_run=dry_run)
    return Answer("deny", "no_rule", dry_run=dry_run)


def _asks_about_itself(call: Object, here: Sequence[Facts]) -> bool:
    if isinstance(call["subject"], str):
        return False
    if call["subject"]["id"] != call["caller"]["username"] or call["subject"]["uid"] != call["caller"]["uid"]:
        return False
    return any(
        facts.compiles
        and not _audits(facts)
        and any(call["subject"]["id"] in _subjects_of(facts, rule) for rule in facts.raw["spec"]["rules"])
        for facts in here
    )


def _denied_to_everybody(world: World, here: Sequence[Facts], carriers: Sequence[Facts]) -> bool:
    if len(carriers) > 1:
        return True
    if any(not facts.settings_readable for facts in carriers):
        return True
    if any(not facts.subjects_readable and not _audits(facts) for facts in here):
        return True
    return any(
        not facts.endpoint_readable
        and facts.raw["metadata"]["namespace"] == world.call["namespace"]
        and (not _audits(facts) or "endpointSettings" in facts.raw["spec"])
        for facts in world.policies
    )


def _audits(facts: Facts) -> bool:
    return bool(facts.raw["spec"].get("mode") == "Audit")


def _username(account: Object) -> str:
    return f"system:serviceaccount:{account['namespace']}:{account['name']}"


def _all_subjects(facts: Facts) -> list[str]:
    return [_username(entry["serviceAccount"]) for entry in facts.raw["spec"]["subjects"]]


def _subjects_of(facts: Facts, rule: Object) -> list[str]:
    return [
        _username(entry["serviceAccount"])
        for entry in facts.raw["spec"]["subjects"]
        if entry["name"] in rule["subjects"]
    ]


def _speaks(facts: Facts, rule: Object, call: Object) -> bool:
    if call["subject"]["id"] not in _subjects_of(facts, rule):
        return False
    if not any(_named(pattern, call["action"]["name"]) for pattern in rule["actions"]):
        return False
    return any(_covered(rule["effect"], entry, call["resource"]) for entry in rule["resources"])


def _named(pattern: str, name: str) -> bool:
    if pattern == "*":
        return True
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1]) and name != pattern[:-1]
    return name == pattern


def _covered(effect: str, entry: Object, resource: Object) -> bool:
    if entry["type"] != resource["type"] or not any(_named(pattern, resource["id"]) for pattern in entry["ids"]):
        return False
    for name, values in entry.get("properties", {}).items():
        value = resource.get("properties", {}).get(name)
        if not isinstance(value, str):
            if effect == "Allow":
                return False
        elif value not in values:
            return False
    return True


def _standing(world: World, facts: Facts, rule: Object) -> tuple[str, str]:
    """One row of the table in 5 for each effect."""
    truths = [world.truths[condition["expression"]] for condition in rule.get("conditions", [])]
    spec = facts.raw["spec"]
    off = None
    if "intents" in rule and world.call["context"].get("intent") not in rule["intents"]:
        off = "intent_mismatch"
    for owner in (rule, spec):
        if "expireTime" in owner and world.now >= datetime.fromisoformat(owner["expireTime"]).timestamp():
            off = "expired"
    if spec.get("suspend"):
        off = "policy_suspended"
    if "false" in truths:
        return ("silent", "condition_false")
    unknown = "error" in truths
    if rule["effect"] == "Deny":
        return ("denies", "condition_error" if unknown else "policy_denied")
    if rule["effect"] == "RequireApproval":
        if off or unknown:
            return ("denies", off or "condition_error")
        return ("asks", "")
    if unknown:
        return ("silent", "condition_error")
    return ("silent", off) if off else ("allows", "")


def digest(call: Object) -> str:
    """Return the digest of a call of nothing but ASCII and small integers, for which `json` is canonical enough."""
    context = dict(call["context"])
    if "args" in context:
        context["args_digest"] = _sha256(context.pop("args"))
    subject: dict[str, Any] = {"type": call["subject"]["type"], "id": call["subject"]["id"]}
    if "properties" in call["subject"]:
        subject["properties"] = {name: value for name, value in call["subject"]["properties"].items() if name != "act"}
    return _sha256({"subject": subject, "action": call["action"], "resource": call["resource"], "context": context})


def display_of(call: Object) -> list[dict[str, str]]:
    """Return what a reviewer is shown of a call of these worlds, none of whose rules says what to show."""
    context = call["context"]
    hidden = {"args", "intent"} if isinstance(context.get("intent"), str) else {"args"}
    subject = call["subject"].get("properties")
    sources = {
        "args": context.get("args"),
        "subject.properties": subject and {name: held for name, held in subject.items() if name != "act"},
        "action.properties": call["action"].get("properties"),
        "resource.properties": call["resource"].get("properties"),
        "context": {name: held for name, held in context.items() if name not in hidden} or None,
    }
    shown = []
    for prefix, members in sources.items():
        if isinstance(members, Mapping):
            shown += [{"name": prefix, "value": "{}"}] if not members else []
            shown += [{"name": f"{prefix}.{name}", "value": _rendered(members[name])} for name in sorted(members)]
    return shown


def _rendered(value: object) -> str:
    written = json.dumps(value, sort_keys=True, separators=(",", ":"))
    if not isinstance(value, str):
        return written
    try:
        json.loads(value)
    except ValueError:
        return value
    return written


def _sha256(value: object) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


_ENDED = {
    "Denied": "approval_denied",
    "Expired": "approval_expired",
    "Withdrawn": "approval_required",
    "Lapsed": "approval_expired",
    "Revoked": "approval_revoked",
}


_SKEW = 30.0
Gates = Sequence[tuple[Facts, Object]]


def _approval(world: World, gates: Gates) -> tuple[str, str, tuple[str, ...]]:
    context = world.call["context"]
    if world.freshness == "stale":
        return ("deny", "store_stale", ())
    if not world.guard_proven:
        return ("deny", "approval_unverifiable", ())
    if "args_digest" in context or not isinstance(context.get("args", {}), Mapping):
        return ("deny", "uninspectable", ())
    judged = [(_state(world, gates, grant), grant) for grant in world.grants if _is_of(grant, world.call)]
    usable = sorted(
        (grant["status"]["notAfterTime"], grant["metadata"]["name"]) for state, grant in judged if state == "usable"
    )
    if usable:
        return ("use_grant", "allowed", tuple(name for _, name in usable)[:4])
    if any(state == "approval_pending" for state, _ in judged):
        return ("deny", "approval_pending", ())
    ages = [(grant["metadata"]["creationTimestamp"], grant["metadata"]["name"], state) for state, grant in judged]
    return ("deny", max(ages)[2] if ages else "approval_required", ())


def _is_of(grant: Object, call: Object) -> bool:
    request = grant["spec"]["request"]
    intent = call["context"].get("intent")
    return bool(
        grant["metadata"]["namespace"] == call["namespace"]
        and request["endpoint"] == call["endpoint"]
        and request["subject"]["id"] == call["subject"]["id"]
        and request["subject"].get("uid") == call["subject"]["uid"]
        and not request.get("actors")
        and request["action"]["name"] == call["action"]["name"]
        and (request["resource"]["type"], request["resource"]["id"])
        == (call["resource"]["type"], call["resource"]["id"])
        and request.get("intent") == (intent if isinstance(intent, str) else None)
        and request["binding"] == {"mode": "Exact", "digest": digest(call)}
    )


def _state(world: World, gates: Gates, grant: Object) -> str:  # noqa: C901, PLR0911, PLR0912 - likewise
    request, status = grant["spec"]["request"], grant.get("status", {})
    if "revocation" in grant["spec"] or "deletionTimestamp" in grant["metadata"]:
        return "approval_revoked"
    phase = status.get("phase", "Pending")
    if phase == "Consumed":
        return _used_up(world, gates, grant)
    if phase in _ENDED:
        return _ENDED[phase]
    if not _is_current(world, gates, request) or request.get("display") != display_of(world.call):
        return "approval_required"
    approvers = _counted(world, grant)
    if any(decision == "Deny" for _, decision in approvers.values()):
        return "approval_denied"
    born, deadline = _time(grant["metadata"]["creationTimestamp"]), _time(request["pendingUntilTime"])
    if born > world.now + _SKEW:
        return "clock_skew"
    waits = min(rule["approval"].get("pendingSeconds", 3600) for _, rule in gates)
    if deadline <= born or deadline > born + waits + _SKEW:
        return "approval_unverifiable"
    if phase == "Pending":
        return "approval_pending" if world.now < deadline else "approval_expired"
    for step in request["steps"]:
        if sum(filled == step["name"] for filled, _ in approvers.values()) < step["count"]:
            return "approval_unverifiable"
    if _denied_uncounted(world, grant) or "approvedTime" not in status or "notAfterTime" not in status:
        return "approval_unverifiable"
    window = min([request["windowSeconds"], *(rule["approval"].get("windowSeconds", 600) for _, rule in gates)])
    approved, end = _time(status["approvedTime"]), _time(status["notAfterTime"])
    if world.now >= end:
        return "approval_expired"
    if approved < born or approved > deadline:
        return "approval_unverifiable"
    if end <= approved or end - approved > window:
        return "approval_unverifiable"
    if any(
        _time(use["time"]) < approved - 2 * _SKEW or _time(use["time"]) > end + _SKEW
        for use in status.get("useRecords", [])
    ):
        return "approval_unverifiable"
    if approved > world.now + _SKEW:
        return "clock_skew"
    if status.get("uses", 0) >= min([request["maxUses"], *(rule["approval"].get("maxUses", 1) for _, rule in gates)]):
        return "approval_consumed"
    return "usable"


def _used_up(world: World, gates: Gates, grant: Object) -> str:
    """Nothing but the approvals and their times makes a grant one that was used up: any phase can be written."""
    request, status = grant["spec"]["request"], grant["status"]
    approvers = _counted(world, grant)
    filled = [name for name, _ in approvers.values()]
    denied = any(decision == "Deny" for _, decision in approvers.values())
    if (
        denied
        or _denied_uncounted(world, grant)
        or any(filled.count(step["name"]) < step["count"] for step in request["steps"])
    ):
        return "approval_required"
    if _is_current(world, gates, request):
        if request.get("display") != display_of(world.call):
            return "approval_required"
        window = min([request["windowSeconds"], *(rule["approval"].get("windowSeconds", 600) for _, rule in gates)])
        born, deadline = _time(grant["metadata"]["creationTimestamp"]), _time(request["pendingUntilTime"])
        approved, end = _time(status["approvedTime"]), _time(status["notAfterTime"])
        uses = [_time(use["time"]) for use in status.get("useRecords", [])]
        if not (born <= approved <= deadline and 0 < end - approved <= window):
            return "approval_required"
        if any(use < approved - 2 * _SKEW or use > end + _SKEW for use in uses):
            return "approval_required"
    return "approval_consumed"


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _is_current(world: World, gates: Gates, request: Object) -> bool:
    wanted, rules = [], []
    for facts, rule in gates:
        uid, policy = facts.raw["metadata"]["uid"], facts.raw["metadata"]["name"]
        rules.append((uid, world.rule_digests[uid, rule["name"]]))
        wanted += [
            (
                f"{policy}.{rule['name']}.{step['name']}",
                policy,
                step["kind"],
                sorted(step.get("groups", [])),
                step["count"],
            )
            for step in rule["approval"]["steps"]
        ]
    if sorted((named["uid"], named["ruleDigest"]) for named in request["rules"]) != sorted(rules):
        return False
    asked = [
        (step["name"], step["policy"], step["kind"], sorted(step.get("groups", [])), step["count"])
        for step in request["steps"]
    ]
    return sorted(wanted) == sorted(asked)


def _counted(world: World, grant: Object) -> dict[str, tuple[str, str]]:
    """Return step and decision by reviewer, of the reviews that count."""
    status = grant.get("status", {})
    return {
        reviewer: review
        for reviewer, review in _eligible(world, grant).items()
        if {"reviewer": reviewer} in status.get("counted", [])
        and {"reviewer": reviewer} not in status.get("voided", [])
    }


def _denied_uncounted(world: World, grant: Object) -> bool:
    counted = _counted(world, grant)
    return any(decision == "Deny" and who not in counted for who, (_, decision) in _eligible(world, grant).items())


def _eligible(world: World, grant: Object) -> dict[str, tuple[str, str]]:
    """Return step and decision by reviewer, of the reviews that fit their step and are by others than the parties."""
    request = grant["spec"]["request"]
    barred = [request["requester"]["username"], request["subject"]["id"], *request.get("excludedReviewers", [])]
    barred += [world.call["caller"]["username"], world.call["subject"]["id"]]
    steps = {step["name"]: step for step in request["steps"]}
    eligible = {}
    for review in grant["spec"]["reviews"]:
        reviewer = review["reviewer"]
        if review["step"] not in steps or review["binding"] != request["binding"]["digest"] or reviewer in barred:
            continue
        step = steps[review["step"]]
        if "groups" in step and review.get("group") not in step["groups"]:
            continue
        if step["kind"] == "Human" and reviewer not in world.people:
            continue
        if step["kind"] == "System" and not reviewer.startswith("system:serviceaccount:"):
            continue
        eligible[reviewer] = (review["step"], review["decision"])
    return eligible
