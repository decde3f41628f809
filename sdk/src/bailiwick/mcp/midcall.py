"""What a server asks its caller in the middle of a call, as MCP before 2026-07-28 has it: elicitation, sampling, roots.

Holds: an answer reaches the tool, resource or prompt that waits for it only after a decision about the call with it, as
in a round of `input_required`; an answer that belongs to no call that was decided about reaches nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mcp import MCPError
from mcp.server.session import ServerSession
from pydantic import BaseModel

from bailiwick.mcp.calls import McpMessage, McpRefusalError, unmapped
from bailiwick.mcp.gate import McpGate

_HARMLESS: Final = frozenset({"ping"})


@dataclass(slots=True)
class _CallInProgress:
    """A call that was let through, and what its caller answered since."""

    gate: McpGate
    message: McpMessage
    answers: dict[str, Any] = field(default_factory=dict)

    async def ask(self, method: str, answer: Mapping[str, Any]) -> None:
        """Ask about the call with one more answer. Raises `McpRefusalError`."""
        self.answers[f"{method}#{len(self.answers) + 1}"] = answer
        before = self.message.params.get("inputResponses")
        answers = {**(before if isinstance(before, Mapping) else {}), **self.answers}
        params = {**self.message.params, "inputResponses": answers}
        await self.gate.admit(replace(self.message, params=params))


# The innermost call, where a tool calls others: it is the one that gets the answer.
_CURRENT: Final[ContextVar[_CallInProgress | None]] = ContextVar("bailiwick_mcp_call", default=None)


@contextmanager
def watch_answers(session: ServerSession | None, gate: McpGate, message: McpMessage) -> Iterator[None]:
    """Ask about each answer that the caller gives while the body runs. `session` is that of the one request."""
    if session is not None:
        _watch(session)
    token = _CURRENT.set(_CallInProgress(gate, message))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def _watch(session: ServerSession) -> None:
    if "send_request" in vars(session):
        return
    send = session.send_request

    async def send_and_ask(request: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - as the session has it
        if request.method in _HARMLESS:
            return await send(request, *args, **named)
        try:
            answer = await send(request, *args, **named)
        except MCPError as error:
            # Its words are the caller's, too.
            await _ask(request.method, {"error": _members(error.error)})
            raise
        await _ask(request.method, _members(answer))
        return answer

    # One session serves one request, and all of its methods send through this one.
    vars(session)["send_request"] = send_and_ask


async def _ask(method: str, answer: Mapping[str, Any]) -> None:
    call = _CURRENT.get()
    try:
        if call is None:
            raise unmapped(f"an answer to {method} outside a call")
        await call.ask(method, answer)
    except McpRefusalError as error:
        raise MCPError(error.code, str(error), error.data) from error


def _members(answer: BaseModel) -> dict[str, Any]:
    return answer.model_dump(by_alias=True, mode="json", exclude_none=True)
