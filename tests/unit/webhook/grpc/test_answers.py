"""Answers by gRPC where the network cannot show them: an empty header, and a caller who has stopped waiting."""

from typing import Any, cast

from bailiwick_webhook.grpc import messages, server
from bailiwick_webhook.grpc.check import answered
from bailiwick_webhook.http.adapters import replies
from bailiwick_webhook.http.adapters.replies import ProxyReply


def test_a_header_that_is_empty_is_taken_out_and_not_set() -> None:
    # What Envoy is told to set and to remove is gone, and what is empty would leave its client's own.
    response = answered(ProxyReply(200, {replies.DECISION: "eval_x", replies.SUBJECT: ""}))
    names = [option.header.key for option in response.ok_response.headers]
    removed = list(response.ok_response.headers_to_remove)
    assert names == ["x-bailiwick-decision"]
    assert "x-bailiwick-subject" in removed
    assert set(names).isdisjoint(removed)


class Late:
    """The context of a call whose caller waits no more."""

    def __init__(self, left: float) -> None:
        self._left = left

    def auth_context(self) -> dict[str, Any]:
        return {}

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def peer(self) -> str:
        return "ipv4:192.0.2.1:80"

    def time_remaining(self) -> float:
        return self._left


async def test_what_nobody_waits_for_is_not_begun() -> None:
    for left in (0.0, -1.0):
        # It would be decided by the edge, of which there is none.
        response = await server._check(cast("Any", None), None, messages.CheckRequest(), Late(left))
        assert response.status.code == messages.PERMISSION_DENIED
        assert response.denied_response.status.code == 403
