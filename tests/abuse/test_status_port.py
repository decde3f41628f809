"""Strangers flood what the operator asks on a decision point's status port; the operator goes on being answered."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import SIGNING_KEYS_SECRET
from bailiwick_api.signingkeys import SigningKey, read_keys
from bailiwick_api.statusproof import HEADER, header_for
from support.installation import accepted
from support.pdp.processes import Bailiwick

BODY: Final = b'{"from":0}'
FLOODERS: Final = 16


def signing_key(pdp: Bailiwick) -> SigningKey:
    path = f"/api/v1/namespaces/{pdp.installation.namespace}/secrets/{SIGNING_KEYS_SECRET}"
    return min(read_keys(accepted(pdp.callers.admin.get(path))["data"]), key=lambda key: key.age)


@contextmanager
def flood(url: str) -> Iterator[list[int]]:
    """Ask without a pause, from many connections, until the block is left."""
    ends, statuses = threading.Event(), list[int]()

    def ask() -> None:
        while not ends.is_set():
            with requests.Session() as session:
                statuses.append(session.post(url, data=BODY, timeout=30).status_code)

    threads = [threading.Thread(target=ask) for _ in range(FLOODERS)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        ends.set()
        for thread in threads:
            thread.join(40)


@pytest.mark.parametrize("path", ["/checkpoint", "/served", "/usage"])
def test_a_flood_of_strangers_keeps_the_operator_from_no_answer(pdp: Bailiwick, path: str) -> None:
    key, body = signing_key(pdp), BODY if path == "/checkpoint" else b"[]"
    url = f"{pdp.points[0].status_url}{path}"
    with flood(f"{pdp.points[0].status_url}/checkpoint") as strangers:
        deadline = time.monotonic() + 20
        while 429 not in strangers and time.monotonic() < deadline:
            time.sleep(0.05)
        assert 429 in strangers
        found = []
        for _ in range(10):
            headers = {HEADER: header_for(key, path, body, time.time())}
            found.append(requests.post(url, data=body, headers=headers, timeout=30).status_code)
    assert found == [200] * 10
