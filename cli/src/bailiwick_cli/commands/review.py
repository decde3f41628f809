"""`approve` and `deny`: show the whole call, have it confirmed, add one review.

Holds: nothing is sent before the call was shown and somebody said yes to it, at a terminal or by its binding; what is
sent is tied to the very object that was shown (uid, resourceVersion, binding), and is never sent again by itself.
"""

import contextlib
import re
import shlex
import sys
import time
from http import HTTPStatus
from typing import Final, Literal

from bailiwick_api.meta import APPROVAL_GRANTS, ENDPOINT_POLICIES
from bailiwick_cli import output, steps
from bailiwick_cli.arguments import grant_name
from bailiwick_cli.cluster import ClusterClient, connect, grants_path
from bailiwick_cli.commands.show import described
from bailiwick_cli.errors import ApiError, CliError, Exit
from bailiwick_cli.flags import ReviewFlags
from bailiwick_cli.grantview import GrantView
from bailiwick_cli.people import Permissions, who_am_i
from bailiwick_cli.steps import StepChoice
from bailiwick_engine.approval.display import visible

Decision = Literal["Approve", "Deny"]

_DIGITS: Final = 8
_DONE: Final = {"Approve": "approved", "Deny": "denied"}


def run(options: ReviewFlags, decision: Decision) -> int:
    """Review one grant."""
    name = one_name(options.names, decision.lower())
    if not options.reason.strip():
        raise CliError("--reason is empty: give a reason for the record")
    cluster = connect(options)
    me = who_am_i(cluster)
    path = grants_path(cluster.namespace, name)
    grant = GrantView(cluster.get(path), time.time())
    output.write(described(grant), sys.stderr)
    if grant.ended:
        raise CliError(f"{grant.name} is {grant.phase}: it can no longer be reviewed")
    choice = steps.choose(grant, me, options.step, options.group)
    _permitted(cluster, me.username, choice, decision, grant)
    output.talk(f"\n{_summary(me.username, choice, decision, grant)}")
    if not _confirmed(options, grant, decision):
        output.talk("no review was sent")
        return Exit.NO
    changed = _send(cluster, path, grant, _entry(me.username, choice, decision, options.reason, grant))
    _told(GrantView(changed, time.time()), decision)
    return Exit.OK


def one_name(names: list[str], verb: str) -> str:
    """Return the one name there must be: each request is looked at by itself."""
    if len(names) != 1:
        raise CliError(f"{verb} takes one name: review each request separately")
    return grant_name(names[0])


def _permitted(cluster: ClusterClient, username: str, choice: StepChoice, decision: Decision, grant: GrantView) -> None:
    """Ask for the rights that a review takes, and name the one that is missing, before anybody confirms anything."""
    permissions = Permissions(cluster)
    for verb, resource, name in (
        ("approve", ENDPOINT_POLICIES, choice.step.policy),
        ("patch", APPROVAL_GRANTS, grant.name),
    ):
        with contextlib.suppress(ApiError):
            # Who may not even ask is told by the review itself.
            if not permissions.may(verb, grant.namespace, name, resource):
                right = f"the verb {verb} on {resource}/{visible(name)} in namespace {visible(grant.namespace)}"
                raise CliError(f"{visible(username)} is not allowed to {decision.lower()} this: {right} is missing")


def _summary(username: str, choice: StepChoice, decision: Decision, grant: GrantView) -> str:
    """Return who does what, and once more to which call: long words of the requester's may have moved that off."""
    group = f" for {visible(choice.group)}" if choice.group else ""
    request = grant.request
    return (
        f"{decision} step {visible(choice.step.name)}{group} as {visible(username)}:"
        f" {visible(request['action']['name'])} on {visible(grant.resource)} by {visible(request['subject']['id'])}."
    )


def _confirmed(options: ReviewFlags, grant: GrantView, decision: Decision) -> bool:
    if options.binding is not None:
        _compare(options.binding, grant)
    if options.yes and options.binding is not None:
        return True
    if options.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError(
            "without a terminal, or with --yes, also confirm the request by the first hex digits of its binding:\n"
            f"  {_instead(options, grant, decision)}"
        )
    _forget_typed()
    sys.stderr.write(f"{decision} this? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _forget_typed() -> None:
    """Throw away what was typed before the question: it is no answer to it."""
    try:
        import termios  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _compare(given: str, grant: GrantView) -> None:
    digits = given.lower().removeprefix("sha256:").replace("-", "")
    if re.fullmatch(rf"[0-9a-f]{{{_DIGITS},64}}", digits) is None:
        raise CliError(
            f"--binding: {given!r} is not the start of a binding: give at least the first {_DIGITS} hex digits"
        )
    if not grant.binding_hex.startswith(digits):
        raise CliError(
            f"--binding does not match {grant.name}: the binding of this request is {grant.binding}."
            f" See it with `kubectl bailiwick show {grant.name} -n {grant.namespace}`"
        )


def _instead(options: ReviewFlags, grant: GrantView, decision: Decision) -> str:
    more = [
        part
        for flag, value in (("--step", options.step), ("--group", options.group))
        if value
        for part in (flag, value)
    ]
    words = ["kubectl", "bailiwick", decision.lower(), grant.name, "-n", grant.namespace, "--reason", options.reason]
    return visible(shlex.join([*words, *more, "--yes", "--binding", grant.binding_hex[:_DIGITS]]))


def _entry(username: str, choice: StepChoice, decision: Decision, reason: str, grant: GrantView) -> dict[str, str]:
    entry = {"reviewer": username, "step": choice.step.name, "decision": decision, "reason": reason}
    return entry | ({"group": choice.group} if choice.group else {}) | {"binding": grant.binding}


def _send(cluster: ClusterClient, path: str, grant: GrantView, entry: dict[str, str]) -> dict[str, object]:
    version = grant.raw["metadata"]["resourceVersion"]
    patch: list[dict[str, object]] = [
        {"op": "test", "path": "/metadata/uid", "value": grant.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
    ]
    if grant.raw["spec"].get("reviews") is None:
        patch.append({"op": "add", "path": "/spec/reviews", "value": []})
    patch.append({"op": "add", "path": "/spec/reviews/-", "value": entry})
    try:
        return cluster.patch(path, patch, "json")
    except ApiError as error:
        raise explained(cluster, path, grant, error) from error


def explained(cluster: ClusterClient, path: str, grant: GrantView, error: ApiError) -> CliError:
    """Return what to tell of a refused change: that the grant is not as it was shown any more, else the refusal."""
    if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}:
        return error
    now = GrantView(cluster.get(path), time.time())
    before, after = grant.raw["metadata"], now.raw["metadata"]
    if (before["uid"], before["resourceVersion"]) == (after["uid"], after["resourceVersion"]):
        return error
    what = "is another request now" if now.uid != grant.uid else f"has changed in the meantime: it is {now.phase}"
    return CliError(
        f"{grant.name} {what}; your change was not applied."
        f" See it again with `kubectl bailiwick show {grant.name} -n {grant.namespace}`"
    )


def _told(grant: GrantView, decision: Decision) -> None:
    sys.stdout.write(f"{output.reference(grant.name)} {_DONE[decision]}\n")
    if decision == "Deny":
        return
    open_steps = [f"{step.name} ({step.approvals} of {step.count})" for step in grant.steps if not step.met]
    if open_steps:
        output.talk(f"It still needs {visible(', '.join(open_steps))}.")
    else:
        wait = f"kubectl bailiwick wait {grant.name} -n {grant.namespace}"
        output.talk(f"All steps are met. To wait until the grant can be used, run `{visible(wait)}`.")
