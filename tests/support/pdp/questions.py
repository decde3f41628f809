"""Asking a decision point, as an enforcer does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a decision point answered."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def decision(self) -> bool | None:
        """The decision; None where this is no decision."""
        return self.body.get("decision")

    @property
    def context(self) -> dict[str, Any]:
        """AuthZEN's context of the answer."""
        found: dict[str, Any] = self.body.get("context", {})
        return found

    @property
    def reason(self) -> str | None:
        """Why, as a code; of a problem too, where it tells."""
        return self.context.get("reason") or self.body.get("reason")

    @property
    def task(self) -> dict[str, Any]:
        """The task of a request for approval."""
        found: dict[str, Any] = self.body["task"]
        return found

    @property
    def grant_name(self) -> str:
        """The grant that the task stands for."""
        return str(self.task["id"]).partition(".")[0]


def post(
    url: str,
    body: object,
    token: str | None,
    headers: Mapping[str, str | bytes] | None = None,
    verify: bool | str = True,
) -> Said:
    """Post a body: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    own = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token is not None else {})
    return said(requests.post(url, data=data, headers={**own, **(headers or {})}, timeout=TIMEOUT, verify=verify))


def get(url: str, token: str | None, headers: Mapping[str, str] | None = None, verify: bool | str = True) -> Said:
    """Get a path."""
    own = {"Authorization": f"Bearer {token}"} if token is not None else {}
    return said(requests.get(url, headers={**own, **(headers or {})}, timeout=TIMEOUT, verify=verify))


def said(response: requests.Response) -> Said:
    """Read an answer; whatever is not a JSON object has an empty body here."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = {}
    return Said(response.status_code, body if isinstance(body, dict) else {}, response.headers, response.content)


def evaluation(
    subject: str,
    action: str,
    resource: str = "42",
    *,
    args: object = None,
    token: str | None = None,
    **context: object,
) -> dict[str, Any]:
    """Return the body that asks whether a service account may do this to a customer."""
    evidence = {} if token is None else {"evidence": {"subject_token": token}}
    more = {} if args is None else {"args": args}
    return {
        "subject": {"type": "serviceAccount", "id": subject},
        "action": {"name": action},
        "resource": {"type": "customer", "id": resource},
        "context": {**evidence, **more, **context},
    }
