"""How a call that waits for an approval goes on: the state that its caller keeps, and what comes back with it.

Standing: pure, below `gate`. From MCP 2026-07-28 on a server can answer `input_required`, and the client repeats the
same request with `requestState`.
Holds: a state has no authority. It names a task, and carries what the client itself sent in an earlier round of its
server, so a forged one only makes the call fail; it is read before anything is asked, and bounded.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from bailiwick.call import decoded, encoded
from bailiwick.mcp.calls import CALL_TOOL, GET_PROMPT, READ_RESOURCE, McpMessage, bad_request

# Every state of ours begins so, as the tasks of Bailiwick's decision point do; others are of the server.
_PREFIX: Final = "agr-"
_STATE: Final = re.compile(r"(agr-[-a-z0-9]{1,59}\.[-a-z0-9]{1,64})(?:~([A-Za-z0-9_-]+))?")
_MOST_STATE: Final = 64 * 1024
_QUESTION: Final = "approval"
_ROUND: Final = ("inputResponses", "requestState")
_RESUMABLE: Final = frozenset({CALL_TOOL, GET_PROMPT, READ_RESOURCE})

UserAction = Literal["accept", "decline", "cancel"]
_ACTIONS: Final[tuple[UserAction, ...]] = get_args(UserAction)


@dataclass(frozen=True, slots=True)
class Resumption:
    """A call that its client repeats. `action`: what its user did with the link; None: there was none."""

    task: str
    action: UserAction | None


def read_resumption(message: McpMessage) -> tuple[McpMessage, Resumption | None]:
    """Return a message as its client sent it first, and what it goes on with; None where it is no repetition of ours.

    Raises `McpRefusalError` for a state of ours that was changed.
    """
    state = message.params.get("requestState")
    if not message.can_repeat or not isinstance(state, str) or not state.startswith(_PREFIX):
        return message, None
    found = _STATE.fullmatch(state) if len(state) <= _MOST_STATE else None
    if found is None:
        raise bad_request("requestState is not as you got it. Repeat the call without it.")
    own = {name: value for name, value in message.params.items() if name not in _ROUND}
    carried = {} if found[2] is None else _carried(found[2])
    resumption = Resumption(found[1], _action(message.params.get("inputResponses")))
    return replace(message, params={**own, **carried}), resumption


def input_required(
    message: McpMessage, task: str, about: Mapping[str, Any], link: tuple[str, str] | None
) -> dict[str, Any] | None:
    """Return the result that makes a client repeat a call; None where it cannot.

    `about` is for programs, in `_meta`. `link` is a URL for the client's user, and what it is for.
    """
    if not message.can_repeat or message.method not in _RESUMABLE:
        return None
    round_ = {name: message.params[name] for name in _ROUND if message.params.get(name) is not None}
    state = task
    if round_:
        state += "~" + base64.urlsafe_b64encode(encoded(round_)).rstrip(b"=").decode()
    if len(state) > _MOST_STATE or _STATE.fullmatch(state) is None:
        return None
    result: dict[str, Any] = {"resultType": "input_required", "requestState": state, "_meta": dict(about)}
    if link is not None and message.opens_urls:
        params = {"mode": "url", "url": link[0], "message": link[1]}
        result["inputRequests"] = {_QUESTION: {"method": "elicitation/create", "params": params}}
    return result


def _carried(text: str) -> dict[str, Any]:
    """Return what a client sent in the round that waits."""
    try:
        found = decoded(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, dict) or not set(found) <= set(_ROUND):
        raise bad_request("requestState is not as you got it. Repeat the call without it.")
    return found


def _action(responses: object) -> UserAction | None:
    if responses is None or responses == {}:
        return None
    answer = responses.get(_QUESTION) if isinstance(responses, Mapping) and len(responses) == 1 else None
    action = answer.get("action") if isinstance(answer, Mapping) else None
    found = next((known for known in _ACTIONS if action == known), None)
    if found is not None:
        return found
    raise bad_request(f"inputResponses must hold {_QUESTION}, with accept, decline or cancel as its action.")
