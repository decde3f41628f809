"""A call that runs: what its server asks the caller in the middle of it, and what becomes of it.

Standing: MCP before 2026-07-28 has such questions: elicitation, sampling, roots.

Holds: an answer reaches the tool, resource or prompt that waits for it only after a decision about the call with it, as
in a round of `input_required`; an answer that belongs to no call that was decided about reaches nothing. An outcome is
reported only where it is known, and for each decision about the call.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from mcp import MCPError
from mcp.server.session import ServerSession
from pydantic import BaseModel

from bailiwick.decision import AccessDecision
from bailiwick.mcp.calls import UPSTREAM_LOST, McpMessage, McpRefusalError, unmapped
from bailiwick.mcp.gate import McpGate
from bailiwick.outcomes import CANCELLED, FAILED, SUCCEEDED, CallOutcome, outcome_of_error

_HARMLESS: Final = frozenset({"ping"})
# Of a result that ends its call; others ask for a further round, or for a later look.
_COMPLETE: Final = frozenset({None, "complete"})
_Result = TypeVar("_Result")


@dataclass(slots=True)
class CallInProgress:
    """A call that was let through, the decisions about it, and what its caller answered since."""

    gate: McpGate
    message: McpMessage
    decisions: list[AccessDecision]
    answers: dict[str, Any] = field(default_factory=dict)

    async def ask(self, method: str, answer: Mapping[str, Any]) -> None:
        """Ask about the call with one more answer. Raises `McpRefusalError`."""
        self.answers[f"{method}#{len(self.answers) + 1}"] = answer
        before = self.message.params.get("inputResponses")
        answers = {**(before if isinstance(before, Mapping) else {}), **self.answers}
        params = {**self.message.params, "inputResponses": answers}
        decision = await self.gate.admit(replace(self.message, params=params))
        if decision is not None:
            self.decisions.append(decision)

    def finish(self, result: _Result) -> _Result:
        """Return a result, after its outcome went out to be reported."""
        self.report(outcome_of_result(result))
        return result

    def report(self, outcome: CallOutcome | None) -> None:
        """Report an outcome in the background, if it is known."""
        if outcome is None:
            return
        for decision in self.decisions:
            self.gate.report(decision, outcome)


# The innermost call, where a tool calls others: it is the one that gets the answer.
_CURRENT: Final[ContextVar[CallInProgress | None]] = ContextVar("bailiwick_mcp_call", default=None)


@contextmanager
def follow_call(
    session: ServerSession | None,
    gate: McpGate,
    message: McpMessage,
    decision: AccessDecision | None,
    *,
    sent_on: bool = False,
) -> Iterator[CallInProgress]:
    """Ask about each answer that the caller gives while the body runs, and report the outcome if the body raises.

    `session` is that of the one request. The body passes its result through `finish`. `sent_on`: another process makes
    the call, and may go on where the body is cancelled.
    """
    if session is not None:
        _watch(session)
    call = CallInProgress(gate, message, [] if decision is None else [decision])
    token = _CURRENT.set(call)
    try:
        yield call
    except BaseException as error:
        call.report(_outcome_of_error(error, sent_on=sent_on))
        raise
    finally:
        _CURRENT.reset(token)


def declares_urls(session: ServerSession | None) -> bool:
    """Tell whether a client declares that it shows its user links of its server."""
    capabilities = None if session is None else session.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    return elicitation is not None and elicitation.url is not None


def calls_another() -> bool:
    """Tell whether a call runs here already, whose tool now makes one of its own."""
    return _CURRENT.get() is not None


def outcome_of_result(result: object) -> CallOutcome | None:
    """Return the outcome of a call by its result; None where the call is not over."""
    if isinstance(result, Mapping):
        error, kind = result.get("isError"), result.get("resultType")
    else:
        error, kind = getattr(result, "is_error", None), getattr(result, "result_type", None)
    # FastMCP wraps a result that asks for a further round in one that looks complete.
    if kind not in _COMPLETE or getattr(result, "input_required", None) is not None:
        return None
    return FAILED if error else SUCCEEDED


def _outcome_of_error(error: BaseException, *, sent_on: bool) -> CallOutcome | None:
    data = error.error.data if isinstance(error, MCPError) else None
    lost = isinstance(data, Mapping) and data.get("reason") == UPSTREAM_LOST
    outcome = outcome_of_error(error)
    # It may have been made all the same: else a caller could take back what was done, by cancelling it.
    return None if lost or (sent_on and outcome == CANCELLED) else outcome


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
            raise unmapped(f"An answer to {method} outside a call")
        await call.ask(method, answer)
    except McpRefusalError as error:
        raise MCPError(error.code, str(error), error.data) from error


def _members(answer: BaseModel) -> dict[str, Any]:
    return answer.model_dump(by_alias=True, mode="json", exclude_none=True)
