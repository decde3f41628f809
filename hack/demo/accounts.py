"""Acting as a service account: who sends a call, and with which token.

Standing: below the cases, which say who sends what and never how. `FromHere` sends from this machine, with tokens of
TokenRequest; pods of a node send with tokens that their kubelet projects.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests

from localcluster.access import Cluster
from localcluster.tokenrequest import Account


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call; the sender adds its own token as the bearer's."""

    method: str
    url: str
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the body as JSON; a text where it is none. Headers where they are known."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Accounts(Protocol):
    """Knows how to act as service accounts. An account's first audience is whom its token is for."""

    def token(self, account: Account, pod: Mapping[str, Any] | None = None) -> str:
        """Return a token of this account, bound to the pod if one is given."""

    def send(self, account: Account, calls: Sequence[Call]) -> list[Answer]:
        """Send calls as this account, all at once; answers in their order."""


class FromHere:
    """Acts from this machine."""

    def __init__(self, cluster: Cluster) -> None:
        """Prepare; nothing is asked yet."""
        self._cluster = cluster
        self._tokens: dict[Account, str] = {}

    def token(self, account: Account, pod: Mapping[str, Any] | None = None) -> str:
        """Return a token of TokenRequest: a new one for a pod, else one for the whole demo."""
        if pod is not None:
            return self._cluster.issue_token(account, pod).value
        if account not in self._tokens:
            self._tokens[account] = self._cluster.issue_token(account).value
        return self._tokens[account]

    def send(self, account: Account, calls: Sequence[Call]) -> list[Answer]:
        """Send them, each in a thread of its own."""
        token = self.token(account)
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(lambda call: _sent(call, token), calls))


def _sent(call: Call, token: str) -> Answer:
    headers = {**call.headers, "Authorization": f"Bearer {token}"}
    answer = requests.request(call.method, call.url, json=call.json, headers=headers, timeout=60)
    try:
        body = answer.json()
    except ValueError:
        body = answer.text
    return Answer(answer.status_code, body, answer.headers)
