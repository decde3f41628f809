"""`McpGate`: asks the decision point about each message of an MCP client. Knows no framework; adapters are beside it.

Holds: what may pass returns, and everything else raises. The process's own identity stands only for messages that came
over no network. A request that asks for an approval never runs; "approved" is never an allow: the repeated call is.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from bailiwick.answers import MAX_CALLS
from bailiwick.answerwatch import report_soon
from bailiwick.call import AccessCall, Principal
from bailiwick.decision import AccessDecision, Approval, Denied, members, text
from bailiwick.mcp.calls import (
    APPROVAL_META,
    DENIED_CODE,
    HARMLESS,
    HARMLESS_NOTIFICATIONS,
    INTERNAL_CODE,
    LISTEN,
    LISTS,
    REASON_META,
    McpMessage,
    McpRefusalError,
    ToolDefinition,
    ToolRule,
    allowed_meta,
    bad_request,
    call_of,
    listed_call,
    unauthenticated,
    unmapped,
)
from bailiwick.outcomes import CallOutcome
from bailiwick.web import Asker

_REASON_LENGTH: Final = 1024
_APPROVAL_REQUIRED: Final = "approval_required"
_APPROVAL_PENDING: Final = "approval_pending"
# Denials of a call without arguments that its arguments may turn into an allow, or into an approval to be asked for.
_FOR_WANT_OF_ARGUMENTS: Final = frozenset(
    {_APPROVAL_REQUIRED, "condition_error", "context_insufficient", "history_uncountable"}
)
# Numbers of histories are read at a limited rate, and a long list has many items. The call itself is counted.
_FOR_WANT_OF_NUMBERS: Final = "history_unavailable"
_HOW: Final = (
    f"To ask a person for an approval, repeat this very request, with the same arguments, and say in its _meta why: "
    f'"{REASON_META}": "<ticket and reason>".'
)
_AGAIN: Final = (
    f'When somebody has approved, repeat this very request, with the same arguments and "{APPROVAL_META}": '
    f'"<task.id>" in its _meta. Do not change the arguments: that is another call.'
)
# What a command for a person may hold: the task's id comes from outside.
_NAME: Final = re.compile(r"[a-z0-9][-a-z0-9.]*")


class McpAsker(Asker, Protocol):
    """What a gate needs of `AsyncBailiwick`."""

    async def evaluate_many(self, calls: Sequence[AccessCall], *, dry_run: bool = False) -> list[AccessDecision]:
        """Ask about several calls. `dry_run`: only what they would come to."""


class McpGate:
    """A gate in front of one MCP server."""

    def __init__(
        self,
        pdp: McpAsker,
        *,
        tools: Mapping[str, ToolRule] | None = None,
        identity: Callable[[], str] | Principal | None = None,
        approve_with: str | None = None,
        meta: Sequence[str] = (),
    ) -> None:
        """Prepare; nothing is asked.

        `tools` says what each tool does; a tool that is not in it is denied. None: each tool is an action of its own
        name. `identity` is whose calls those are that come over stdio or in process, without a token: a function that
        returns the process's own, or a name for a decision point that believes the enforcer. None: they are denied.
        `approve_with` is the command that an approver types, in which `{grant}` stands for what to approve:
        `kubectl bailiwick approve {grant} -n shop`. It goes into the answer to a call that waits for an approval.
        `meta` are members of a client's `_meta` that your server reads. They are asked about as the argument
        `dev.bailiwick/meta`; others do not reach the server, but for those of the connection, traces and progress.
        """
        self._pdp = pdp
        self._tools = None if tools is None else dict(tools)
        self._identity = identity
        self._approve_with = approve_with
        self._meta = tuple(meta)

    async def admit(self, message: McpMessage) -> AccessDecision | None:
        """Return where a request may be served; None: it needs no decision. Raises `McpRefusalError`."""
        if message.method in HARMLESS or message.method in LISTS:
            return None
        if message.method == LISTEN:
            _check_listening(message.params)
            return None
        call = call_of(message, self._tools, self._who(message), self._meta)
        try:
            decision = await self._asked(call, message.meta)
        except ValueError as error:
            raise bad_request(f"The request cannot be asked about: {error}.") from error
        if not decision.allowed:
            raise refused(decision, self._approve_with)
        return decision

    def allowed_meta(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of a client's `_meta` may reach the server: what was asked about, and what changes nothing."""
        return allowed_meta(meta, *self._meta)

    def hears(self, method: str) -> bool:
        """Tell whether a notification may pass. It has no answer, so what acts is dropped."""
        return method in HARMLESS_NOTIFICATIONS

    async def visible(self, message: McpMessage, names: Sequence[tuple[str, ToolDefinition | None]]) -> list[bool]:
        """Tell of each item whether it may be called, if with an approval. Raises `McpRefusalError`.

        A list makes no call, so it asks by a dry run: nothing is used, requested or counted.
        """
        guarded = LISTS[message.method][2]
        if not names:
            return []
        who = self._who(message)
        calls = [listed_call(guarded, name, tool, self._tools, who) for name, tool in names]
        asked = [call for call in calls if call is not None]
        decisions: list[AccessDecision] = []
        try:
            for start in range(0, len(asked), MAX_CALLS):
                decisions += await self._pdp.evaluate_many(asked[start : start + MAX_CALLS], dry_run=True)
        except ValueError as error:
            raise bad_request(f"The list cannot be asked about: {error}.") from error
        for decision in decisions:
            if not decision.available:
                raise refused(decision)
        found = iter(decisions)
        return [call is not None and _shown(next(found)) for call in calls]

    def report(self, decision: AccessDecision, outcome: CallOutcome) -> None:
        """Report in the background what became of a message that was let through, if it matters. Raises nothing."""
        report_soon(self._pdp, decision, outcome)

    async def close(self) -> None:
        """End the connections to the decision point, after the reports that are on their way."""
        await self._pdp.close()

    def _who(self, message: McpMessage) -> tuple[str | None, Principal | None]:
        if message.token:
            return message.token, None
        if message.remote or self._identity is None:
            raise unauthenticated()
        if isinstance(self._identity, Principal):
            return None, self._identity
        try:
            return self._identity(), None
        except (OSError, ValueError) as error:
            raise unauthenticated() from error

    async def _asked(self, call: AccessCall, meta: Mapping[str, Any]) -> AccessDecision:
        shown, reason = meta.get(APPROVAL_META), meta.get(REASON_META)
        if reason is not None:
            raise await self._opened(call, reason)
        if shown is None:
            return await self._pdp.evaluate(call)
        return await self._pdp.evaluate(call, approval=await self._approval(shown))

    async def _approval(self, shown: object) -> Approval:
        if isinstance(shown, Mapping) and isinstance(shown.get("id"), str) and shown["id"]:
            return Approval(id=shown["id"], status="approved", shown=dict(shown))
        if not isinstance(shown, str) or not shown:
            raise ValueError(f"{APPROVAL_META} holds the id of a task, or the approval itself")
        found = await self._pdp.approval(shown)
        if isinstance(found, AccessDecision):
            raise refused(found)
        if not found.approved:
            raise waiting(found, self._approve_with)
        return found

    async def _opened(self, call: AccessCall, reason: object) -> McpRefusalError:
        words = reason.strip() if isinstance(reason, str) else ""
        if not words or len(words) > _REASON_LENGTH:
            raise ValueError(f"{REASON_META} holds 1 to {_REASON_LENGTH} characters")
        try:
            return waiting(await self._pdp.request_approval(call, reason=words), self._approve_with)
        except Denied as error:
            return refused(error.decision)


def waiting(approval: Approval, approve_with: str | None = None) -> McpRefusalError:
    """Return the answer to a call that an approval was asked for: nothing ran, and what to do next."""
    reason = _APPROVAL_PENDING if approval.pending or approval.approved else f"approval_{approval.status}"
    data: dict[str, Any] = {"task": dict(approval.task) or {"id": approval.id, "status": approval.status}}
    if approval.retry_after is not None:
        data["retry_after"] = approval.retry_after
    if reason != _APPROVAL_PENDING:
        data["how"] = _HOW
        return McpRefusalError(DENIED_CODE, reason, f"Nothing was done. {_HOW} Task: {approval.id}", data)
    data["how"] = _AGAIN
    advice = _for_people(approval.id, approval.task, approve_with, data)
    return McpRefusalError(DENIED_CODE, reason, f"Nothing was done. {advice}{_AGAIN} Task: {approval.id}", data)


def refused(decision: AccessDecision, approve_with: str | None = None) -> McpRefusalError:
    """Return the answer to a call that was denied: why, and how to ask for an approval where one would help."""
    if not decision.available:
        detail = "No decision point answered, so this was not done. Try again later."
        return McpRefusalError(INTERNAL_CODE, decision.reason, detail)
    data = decision.public()
    said = [decision.sentence]
    if decision.task is not None:
        data["how"] = _AGAIN
        identifier = text(decision.task, "id") or ""
        said += [_for_people(identifier, decision.task, approve_with, data) + _AGAIN, f"Task: {identifier}"]
    elif decision.access_request is not None:
        data["how"] = _HOW
        said.append(_HOW)
    return McpRefusalError(DENIED_CODE, decision.reason, " ".join(said).strip(), data)


def _for_people(identifier: str, task: Mapping[str, Any], approve_with: str | None, data: dict[str, Any]) -> str:
    """Return what a person has to know: who can approve, and by which command."""
    awaited = members(task, "progress").get("awaiting")
    steps = [one for one in awaited if isinstance(one, Mapping)] if isinstance(awaited, list) else []
    groups = [group for one in steps for group in one.get("groups") or () if isinstance(group, str)]
    advice = f"It waits for {', '.join(dict.fromkeys(groups))}. " if groups else "It waits for an approval. "
    grant = identifier.partition(".")[0]
    if approve_with is not None and _NAME.fullmatch(grant):
        data["approve_with"] = approve_with.replace("{grant}", grant)
        advice += f"To approve, run: {data['approve_with']}. "
    return advice


def _shown(decision: AccessDecision) -> bool:
    """Tell whether an item is listed: what no call may do is not.

    A tool that needs an approval is, since asking for one goes through its call; so is a tool of which only the
    arguments decide, since a list has none. The list widens nothing: each call is decided by itself.
    """
    if decision.would_allow or decision.access_request is not None or decision.task is not None:
        return True
    # A dry run does not say where to ask for an approval, but whether one can be asked for.
    askable = text(decision.context, "next_action") == "request"
    return askable or decision.reason in _FOR_WANT_OF_ARGUMENTS or decision.reason == _FOR_WANT_OF_NUMBERS


def _check_listening(params: Mapping[str, Any]) -> None:
    wanted = params.get("notifications")
    lists = {"toolsListChanged", "promptsListChanged", "resourcesListChanged"}
    if not isinstance(wanted, Mapping) or not set(wanted) <= lists:
        raise unmapped("a subscription to anything but lists")
