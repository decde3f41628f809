"""Tokens that the kubeconfig's own plugins fetch anew, before threads that all want one."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
import urllib3
from kubernetes.client import ApiClient, Configuration

from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError, UserError


def asked(hook: Any) -> tuple[ClusterClient, list[str]]:  # noqa: ANN401 - as the client calls it
    """Return a client whose token `hook` fetches, and the tokens that it is going to send."""
    sent: list[str] = []

    def request(*_: object, headers: urllib3.HTTPHeaderDict, **__: object) -> SimpleNamespace:
        sent.append(headers["authorization"])
        return SimpleNamespace(status=200, headers={}, stream=lambda _: iter([b"{}"]))

    configuration = Configuration()
    configuration.api_key = {"authorization": "old"}
    configuration.refresh_api_key_hook = hook
    pool = SimpleNamespace(pool_manager=SimpleNamespace(request=request))
    client = cast("ApiClient", SimpleNamespace(configuration=configuration, rest_client=pool))
    return ClusterClient(client, "crm", urllib3.HTTPHeaderDict(), 30.0, assumed=False), sent


def test_a_token_is_fetched_by_one_thread_at_a_time_and_none_sends_an_old_one() -> None:
    at_once: list[int] = []
    within = 0

    def fetch(configuration: Configuration) -> None:
        nonlocal within
        within += 1
        at_once.append(within)
        configuration.api_key["authorization"] = "half"
        threading.Event().wait(0.01)
        configuration.api_key["authorization"] = "new"
        within -= 1

    client, sent = asked(fetch)
    threads = [threading.Thread(target=lambda: client.get("/version")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (set(at_once), sent) == ({1}, ["new"] * 8)


@pytest.mark.parametrize("error", [RuntimeError("log in again"), KeyError("log in again"), OSError("log in again")])
def test_a_token_that_cannot_be_fetched_is_told_in_one_line(error: Exception) -> None:
    def fetch(_: Configuration) -> None:
        raise error

    client, sent = asked(fetch)
    with pytest.raises(UserError, match=r"cannot get a token for .*log in again") as told:
        client.get("/version")
    assert (isinstance(told.value, ApiError), sent) == (False, [])
