"""W3C Trace Context: a valid `traceparent` is kept, and nothing else of what a caller sends there."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from bailiwick_webhook.http.tracing import request_id, traceparent

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (GOOD, GOOD),
        (f"cc{GOOD[2:]}", f"cc{GOOD[2:]}"),
        (f"cc{GOOD[2:]}-what-the-future-holds", f"cc{GOOD[2:]}"),
        (None, None),
        ("", None),
        (f"{GOOD}-more", None),
        (f"{GOOD}0", None),
        (f"cc{GOOD[2:]}0", None),
        (f"ff{GOOD[2:]}", None),
        (GOOD.upper(), None),
        (f" {GOOD}", None),
        (f"{GOOD}\n", None),
        (GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), None),
        (GOOD.replace("00f067aa0ba902b7", "0" * 16), None),
        ("00-secret-secret-01", None),
    ],
)
def test_only_what_is_valid_is_kept(header: str | None, kept: str | None) -> None:
    assert traceparent(header) == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (["one-1"], "one-1"),
        ([], None),
        ([""], None),
        # A proxy that adds its own to its client's, which could otherwise choose which calls are the same.
        (["clients", "proxys"], None),
        (["same", "same"], None),
    ],
)
def test_a_request_id_stands_once(sent: list[str], kept: str | None) -> None:
    request = make_mocked_request("POST", "/", headers=CIMultiDict(("X-Request-ID", one) for one in sent))
    assert request_id(request) == kept
