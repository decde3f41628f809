"""CloudEvents 1.0 as structured JSON, and the signature of Standard Webhooks over its bytes. Pure.

Holds: what is signed is what is sent, byte for byte, with the id of the event and the time of the attempt; the id stays
the same over all attempts and all processes.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bailiwick_api.times import stamp
from bailiwick_notifications.notification import GrantFacts, Notification, inert
from bailiwick_notifications.words import message, view_hint

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)  # as Standard Webhooks has it


class SigningSecretError(ValueError):
    """It is no signing secret. The message does not repeat it."""


def signing_key(text: str) -> bytes:
    """Return the key of a signing secret: `whsec_` and 24 to 64 bytes in base64. Raises `SigningSecretError`."""
    stripped = text.strip()
    try:
        key = base64.b64decode(stripped.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not stripped.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise SigningSecretError("must be whsec_ and the base64 of 24 to 64 random bytes")
    return key


def event_body(notification: Notification, source: str, console: str | None, cluster: str | None = None) -> bytes:
    """Return the event as `application/cloudevents+json`.

    `source`: of the installation, a URI reference. `cluster`: what the cluster is called.
    """
    text, where = message(notification, console, cluster), view_hint(notification, console)
    data: dict[str, Any] = {"title": text.title}
    if cluster is not None:
        data["cluster"] = inert(cluster)
    if notification.grant is not None:
        data["grant"] = _facts(notification.grant)
    if notification.note:
        data["note"] = notification.note
    if notification.counts:
        data["counts"] = {str(of): count for of, count in notification.counts.items()}
    data |= {name: value for name, value in where._asdict().items() if value is not None}
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": notification.id,
        "source": source,
        "type": str(notification.type),
        "time": stamp(notification.at),
        "datacontenttype": "application/json",
    }
    if notification.grant is not None:
        event["subject"] = f"{notification.grant.namespace}/{notification.grant.name}"
    return json.dumps(event | {"data": data}).encode()


def headers(key: bytes, id_: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """Return the headers of an attempt. `at`: when it is made, so that a receiver can refuse an old one."""
    seconds = int(at.timestamp())
    mac = hmac.new(key, f"{id_}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": CONTENT_TYPE,
        "webhook-id": id_,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def _facts(grant: GrantFacts) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "namespace": grant.namespace,
        "name": grant.name,
        "endpoint": grant.endpoint,
        "requester": grant.requester,
        "subject": grant.subject,
        "action": grant.action,
        "resource": grant.resource,
    }
    if grant.actors:
        facts["actors"] = [*grant.actors]
    if grant.reviewers:
        facts["reviewers"] = [*grant.reviewers]
    if grant.until is not None:
        facts["until"] = stamp(grant.until)
    return facts
