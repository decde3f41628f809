"""The edges of the calls: no write without the lease, and a token that is looked at before it ends."""

import base64
import json
from datetime import timedelta

import pytest

from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.watch import _use_until
from support.transport import FakeTransport
from unit.operator.cases import NOW, grant


def token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.signature"


class TestWithoutTheLease:
    @pytest.mark.parametrize("call", ["create", "replace", "patch", "delete", "apply_status"])
    async def test_nothing_is_written(self, call: str) -> None:
        sent: list[ApiRequest] = []

        def answer(request: ApiRequest) -> ApiResponse:
            sent.append(request)
            return ApiResponse(200, {})

        kube = OperatorClient(FakeTransport(answer), lambda: False)
        calls = {
            "create": lambda: kube.create("/x", {}, dry_run=True),
            "replace": lambda: kube.replace("/x", {}),
            "patch": lambda: kube.patch("/x", []),
            "delete": lambda: kube.delete("/x"),
            "apply_status": lambda: kube.apply_status("ApprovalGrant", grant(), {}),
        }
        with pytest.raises(UnreachableError, match="the lease has expired: no more writes"):
            await calls[call]()
        assert sent == []


class TestTheTokenOfTheWatches:
    def test_is_read_anew_before_it_ends(self) -> None:
        ends = NOW + timedelta(hours=1)
        assert _use_until(token({"exp": ends.timestamp()}), NOW) == NOW + timedelta(minutes=54)

    def test_that_is_about_to_end_is_not_read_in_a_frenzy(self) -> None:
        assert _use_until(token({"exp": NOW.timestamp()}), NOW) == NOW + timedelta(seconds=30)

    @pytest.mark.parametrize(
        "text", ["opaque", "a.b.c", "a.!.c", token([]), token({}), token({"exp": "soon"}), token({"exp": 1e99})]
    )
    def test_that_does_not_say_when_it_ends_is_read_now_and_then(self, text: str) -> None:
        assert _use_until(text, NOW) == NOW + timedelta(minutes=10)
