"""`approve` and `deny`: show the whole call, have it confirmed, add one review.

Holds: nothing is sent before the call was shown and somebody said yes to it, at a terminal or by its binding; what is
sent is tied to the very object that was shown (uid, resourceVersion, binding), and is never sent again by itself.
"""

import re
import shlex
import sys
import time
from pathlib import Path
from typing import Final

from bailiwick_cli import output
from bailiwick_cli.commands.show import describe, read_context
from bailiwick_cli.confirmation import ask, confirm, has_terminal
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.sshkeygen import sign
from bailiwick_cli.verbs.grantverbs import ApproveFlags, ReviewFlags
from bailiwick_engine.approval.display import visible
from bailiwick_engine.signatures.registrars import NO_REGISTRARS
from bailiwick_engine.signatures.statement import REVIEW_NAMESPACE
from bailiwick_governance.apiserver.cluster import ClusterClient, grants_path
from bailiwick_governance.apiserver.people import Permissions, who_am_i
from bailiwick_governance.arguments import STDIN, grant_name
from bailiwick_governance.display import talk
from bailiwick_governance.grants import reviews, signedreviews, steps
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.reviews import Decision
from bailiwick_governance.grants.steps import StepChoice
from bailiwick_governance.signing.enrolledkeys import read_enrolled_keys

_DIGITS: Final = 8
# Lines that stand below the request when somebody is asked: empty, what is done, the question.
_ASKED: Final = 3
_DONE: Final = {"Approve": "approved", "Deny": "denied"}


def approve(options: ApproveFlags) -> int:
    """Approve one grant, with a signature where the step asks for one."""
    return _review(options, "Approve")


def deny(options: ReviewFlags) -> int:
    """Deny one grant."""
    return _review(options, "Deny")


def _review(options: ReviewFlags, decision: Decision) -> int:
    name = one_name(options.names, decision.lower())
    _check_reason(options, decision)
    cluster = connect(options)
    me = who_am_i(cluster)
    grant = GrantView(cluster.get(grants_path(cluster.namespace, name)), time.time())
    screen = output.screen(sys.stderr)
    lines = [*describe(grant, read_context(cluster, grant), screen)]
    output.write(lines, sys.stderr)
    if grant.ended:
        raise CliError(f"{grant.name} is {grant.phase}: it can no longer be reviewed")
    choice = steps.choose(grant, me, options.step, options.group)
    # Before anybody confirms anything.
    if right := reviews.missing_right(Permissions(cluster), grant, choice):
        raise CliError(f"{visible(me.username)} is not allowed to {decision.lower()} this: {right} is missing")
    if screen is not None and 0 < screen.lines <= len(lines) + _ASKED:
        talk(f"\nThe request has {len(lines)} lines, more than your terminal shows. Scroll up and read all of it.")
    talk(f"\n{reviews.summary(me.username, choice, decision, grant)}")
    signing = _signing_of(options, grant, choice)
    reason = options.reason or (_ask_reason() if decision == "Approve" else "")
    if signing:
        _show_statement(grant, me.username, choice, reason)
    if not _confirm(options, grant, decision, reason):
        talk("no review was sent")
        return Exit.NO
    signature = _signature(signing, cluster, grant, me.username, choice, reason) if signing else None
    _print(reviews.add_review(cluster, grant, me.username, choice, decision, reason, signature), decision)
    return Exit.OK


def _check_reason(options: ReviewFlags, decision: Decision) -> None:
    """Raise `CliError` if an approval has no reason and no terminal to ask for one, before anything is read."""
    if options.reason is not None and not options.reason.strip():
        raise CliError("--reason is empty: give a reason for the record")
    if options.reason is None and decision == "Approve" and not has_terminal():
        raise CliError("without a terminal, give the reason for the record with --reason")


def _ask_reason() -> str:
    """Return the reason that is typed at the terminal. Raises `CliError` if none is."""
    if not (reason := ask("The reason, for the record:")):
        raise CliError("no review was sent: an approval needs a reason")
    return reason


def _signing_of(options: ReviewFlags, grant: GrantView, choice: StepChoice) -> ApproveFlags | None:
    """Return the flags that say how to sign; None where nothing is signed. Raises `CliError` where they do not fit."""
    if not isinstance(options, ApproveFlags):
        return None
    given = [flag for flag, value in (("--key", options.key), ("--signature", options.signature)) if value is not None]
    name = visible(choice.step.name)
    if choice.step.signature is None:
        if given:
            raise CliError(f"{given[0]}: step {name} takes no signature: leave the flag out")
        return None
    if len(given) != 1:
        raise CliError(
            f"step {name} needs a signature by your own enrolled key: give it with --key or, signed elsewhere, with"
            f" --signature. For a passkey, use `kubectl bailiwick console -n {visible(grant.namespace)}`"
        )
    return options


def _show_statement(grant: GrantView, username: str, choice: StepChoice, reason: str) -> None:
    """Show what is signed."""
    talk("\nYou sign this statement:")
    rows = signedreviews.statement_rows(signedreviews.statement(grant, username, choice, reason))
    width = max(len(name) for (name, _), _ in rows)
    output.write(([("  ", ""), (name.ljust(width + 2), ""), value] for (name, _), value in rows), sys.stderr)
    talk("")


def _signature(
    options: ApproveFlags, cluster: ClusterClient, grant: GrantView, username: str, choice: StepChoice, reason: str
) -> str:
    """Return the signature of this approval. Raises `CliError` where it would not count, as far as that is known."""
    if options.signature is not None:
        text = _text(options.signature)
    else:
        signed = signedreviews.statement(grant, username, choice, reason)
        text = sign(signed, REVIEW_NAMESPACE, options.key or "")
    entry = reviews.review_entry(grant, username, choice, "Approve", reason, text)
    keys = read_enrolled_keys(cluster, options.installation, NO_REGISTRARS)
    if keys.trust.keys is None:
        talk(f"note: whether your key is enrolled is not known here: {keys.trust.problem}")
    # A review whose signature does not count is void for good.
    problem = signedreviews.signature_problem_here(grant, entry, choice.step, keys, time.time())
    if problem is not None:
        raise CliError(f"no review was sent: {problem}")
    return text


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise CliError(f"--signature: {file} cannot be read: {type(error).__name__}") from error


def one_name(names: list[str], verb: str) -> str:
    """Return the one name there must be: each request is looked at by itself."""
    if len(names) != 1:
        raise CliError(f"{verb} takes one name: review each request separately")
    return grant_name(names[0])


def _confirm(options: ReviewFlags, grant: GrantView, decision: Decision, reason: str) -> bool:
    if options.binding is not None:
        _compare(options.binding, grant)
    if options.yes and options.binding is not None:
        return True
    if options.yes or not has_terminal():
        raise CliError(
            "without a terminal, or with --yes, also confirm the request by the first hex digits of its binding:\n"
            f"  {_instead(options, grant, decision, reason)}"
        )
    return confirm(f"{decision} this?")


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


def _instead(options: ReviewFlags, grant: GrantView, decision: Decision, reason: str) -> str:
    more = [
        part
        for flag, value in (
            *(("--reason", reason), ("--step", options.step), ("--group", options.group)),
            *(
                (("--key", options.key), ("--signature", options.signature))
                if isinstance(options, ApproveFlags)
                else ()
            ),
        )
        if value
        for part in (flag, value)
    ]
    words = ["kubectl", "bailiwick", decision.lower(), grant.name, "-n", grant.namespace]
    return visible(shlex.join([*words, *more, "--yes", "--binding", grant.binding_hex[:_DIGITS]]))


def _print(grant: GrantView, decision: Decision) -> None:
    sys.stdout.write(f"{output.reference(grant.name)} {_DONE[decision]}\n")
    if decision == "Deny":
        return
    open_steps = [f"{step.name} ({step.approvals} of {step.count})" for step in grant.steps if not step.met]
    if open_steps:
        talk(f"It still needs {visible(', '.join(open_steps))}.")
    else:
        wait = f"kubectl bailiwick wait {grant.name} -n {grant.namespace}"
        talk(f"All steps are met. To wait until the grant can be used, run `{visible(wait)}`.")
