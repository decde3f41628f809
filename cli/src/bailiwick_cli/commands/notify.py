"""`notify test`: one message to each target of a Secret, by the code that the operator sends by.

Holds: neither a URL nor a signing secret is printed; a target that the operator would refuse is refused here too.
"""

import asyncio
import base64
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from bailiwick_api.accounts import NOTIFICATIONS_SECRET
from bailiwick_cli import output
from bailiwick_cli.clusternames import cluster_name
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.verbs.notifyverbs import NotifyTestFlags
from bailiwick_engine.approval.display import visible
from bailiwick_governance import extras
from bailiwick_governance.display import Line
from bailiwick_governance.errors import ApiError
from bailiwick_kube.paths import CORE, object_path
from bailiwick_notifications import cloudevent
from bailiwick_notifications.addresses import AddressRule, Network, networks
from bailiwick_notifications.notification import Notification, NotificationType, inert
from bailiwick_notifications.pace import DeliveryTerms
from bailiwick_notifications.targets import Target, TargetSet, parse
from bailiwick_notifications.words import message

_WOULD: Final = "would be sent"


class TargetTrial(NamedTuple):
    """What came of one target. `target` None: of an entry that is none."""

    name: str
    target: Target | None
    result: str
    why: str = ""

    @property
    def good(self) -> bool:
        """Whether the target took it, or would be sent it."""
        return self.result in {"delivered", _WOULD}


def run(options: NotifyTestFlags) -> int:
    """Send, and tell what came of it."""
    rule = _rule(options)
    console = options.console_url.rstrip("/") if options.console_url else None
    cluster = cluster_name(options.cluster_name)
    where, found = _targets(options)
    notification = Notification(
        secrets.token_hex(16),
        NotificationType.TEST,
        datetime.now(UTC),
        note=f"sent by kubectl bailiwick notify test to the targets of {inert(where)}",
    )
    source = f"/bailiwick/{options.installation}"
    trials = [TargetTrial(one.entry, None, "refused", one.message) for one in found.problems]
    if options.dry_run:
        trials += [TargetTrial(one.name, one, _WOULD) for one in found.targets]
    else:
        trials += asyncio.run(_send(found.targets, notification, source, console, cluster, rule))
    if options.output is LogOutput.JSON:
        body: dict[str, object] = {
            "apiVersion": "cli.bailiwick.dev/v1alpha1",
            "kind": "NotificationTest",
            "secret": where,
            "id": notification.id,
            "targets": [_trial_object(trial) for trial in trials],
        }
        if options.dry_run:
            body["event"] = json.loads(cloudevent.event_body(notification, source, console, cluster))
            body["message"] = message(notification, console, cluster)._asdict()
        sys.stdout.write(output.document(body, Output.JSON))
    else:
        if options.dry_run:
            text = message(notification, console, cluster)
            sys.stdout.write(f"{text.title}\n{text.body}\n\n")
        output.Table(("TARGET", "SERVICE", "RESULT", "WHY")).add([_row(trial) for trial in trials])
    return Exit.OK if all(trial.good for trial in trials) else Exit.NO


def _rule(options: NotifyTestFlags) -> AddressRule:
    return AddressRule(
        public_only=options.namespace is not None,
        allowed=_networks("--allowed-cidr", options.allowed_cidr),
        refused=_networks("--refused-cidr", options.refused_cidr),
    )


def _networks(flag: str, texts: Sequence[str] | None) -> tuple[Network, ...]:
    try:
        return networks(texts or ())
    except ValueError as error:
        raise CliError(f"{flag}: {error}") from error


def _targets(options: NotifyTestFlags) -> tuple[str, TargetSet]:
    """Return the Secret that was read, and its targets. Raises `CliError` where there is nothing to try."""
    cluster = connect(options)
    namespace = options.namespace or options.installation
    name = NOTIFICATIONS_SECRET if options.namespace else options.secret
    where = f"{namespace}/{name}"
    try:
        secret = cluster.get(object_path(CORE, "secrets", namespace, name))
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise CliError(f"there is no Secret {where}: see docs/how-to/notifications.md") from error
        raise
    found = parse(_decode(secret))
    wanted = options.target
    if wanted is None:
        if not found.targets and not found.problems:
            raise CliError(f"the Secret {where} has no targets")
        return where, found
    known = {one.name for one in found.targets} | {one.entry for one in found.problems}
    if unknown := [one for one in wanted if one not in known]:
        raise CliError(f"the Secret {where} has no target {visible(unknown[0])}: it has {_join_names(known)}")
    return where, TargetSet(
        tuple(one for one in found.targets if one.name in wanted),
        tuple(one for one in found.problems if one.entry in wanted),
    )


def _decode(secret: Mapping[str, Any]) -> dict[str, bytes]:
    try:
        return {name: base64.b64decode(value, validate=True) for name, value in (secret.get("data") or {}).items()}
    except (ValueError, TypeError) as error:
        raise CliError("the data of the Secret is not base64") from error


async def _send(
    targets: Sequence[Target],
    notification: Notification,
    source: str,
    console: str | None,
    cluster: str | None,
    rule: AddressRule,
) -> list[TargetTrial]:
    extras.require("this", ("aiohttp", "apprise"), "cli,notifications")
    from bailiwick_notifications.sending.sender import NotificationSender  # noqa: PLC0415 - it stands on an extra

    sender = NotificationSender(source, console, rule, DeliveryTerms().timeout, cluster=cluster)
    attempts = await asyncio.gather(*(sender.send(one, notification, holder=one.name) for one in targets))
    return [TargetTrial(one.name, one, made.result, made.why) for one, made in zip(targets, attempts, strict=True)]


def _trial_object(trial: TargetTrial) -> dict[str, object]:
    said: dict[str, object] = {"name": trial.name, "result": trial.result}
    if trial.target is not None:
        said |= {"via": trial.target.via, "service": trial.target.shown}
    return said | ({"why": trial.why} if trial.why else {})


def _row(trial: TargetTrial) -> Line:
    service = "" if trial.target is None else visible(trial.target.shown)
    colour = "green" if trial.good else "red"
    return [(visible(trial.name), ""), (service, ""), (trial.result, colour), (visible(trial.why), "")]


def _join_names(names: set[str]) -> str:
    return ", ".join(visible(name) for name in sorted(names)) or "none"
