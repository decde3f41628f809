"""`McpGate`: asks the decision point about each message of an MCP client. Knows no framework; adapters are beside it.

Holds: what may pass returns, and everything else raises. Nothing is looked up for a caller who is not proven, and only
who may call a tool, or ask for an approval of it, learns whether it is there and what it takes. The process's own
identity stands only for messages that came over no network. A request that asks for an approval never runs; "approved"
is never an allow: the repeated call is. A call waits for an approval only after the decision point has said that its
caller's request is pending, and never runs in the request in which it waited: its caller repeats it, with the token of
then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from bailiwick import sentences
from bailiwick.answers import MAX_CALLS
from bailiwick.answerwatch import report_soon
from bailiwick.call import AccessCall, Principal
from bailiwick.decision import AccessDecision, Approval, Denied, text
from bailiwick.mcp.calls import (
    APPROVAL_META,
    DENIED_CODE,
    GUARDED,
    HARMLESS,
    HARMLESS_NOTIFICATIONS,
    LISTEN,
    LISTS,
    OF_RESOURCES,
    REASON_META,
    McpMessage,
    McpRefusalError,
    ToolDefinition,
    ToolRule,
    allowed_meta,
    bad_request,
    bare_call,
    call_of,
    listed_call,
    unauthenticated,
    unmapped,
)
from bailiwick.mcp.places import WaitingCalls, caller_of
from bailiwick.mcp.proventokens import UNDECIDED, UNPROVEN, ProvenTokens
from bailiwick.mcp.refusals import APPROVAL_PENDING, ApprovalGuide, approval_refusal, decision_refusal
from bailiwick.mcp.resumption import Resumption, input_required
from bailiwick.outcomes import CallOutcome
from bailiwick.web import Asker

WAIT_SECONDS: Final = 50.0
WAITING_CALLS: Final = 64
_REASON_LENGTH: Final = 1024
# What a gate answers, which stands only before callers that a rule names.
_OF_GATES: Final = "approval_"
_APPROVAL_REQUIRED: Final = "approval_required"
_TOKEN_REQUIRED: Final = "approval_token_required"  # noqa: S105 - a reason
# Denials of a call without arguments that its arguments may turn into an allow, or into an approval to be asked for.
_FOR_WANT_OF_ARGUMENTS: Final = frozenset(
    {_APPROVAL_REQUIRED, "condition_error", "context_insufficient", "history_uncountable"}
)
# Numbers of histories are read at a limited rate, and a long list has many items. The call itself is counted.
_FOR_WANT_OF_NUMBERS: Final = "history_unavailable"
# What a request for approval has come to. To ask about such a call would open another one, where denials do.
_ENDED: Final = frozenset({"approval_consumed", "approval_denied", "approval_expired", "approval_revoked"})


class McpAsker(Asker, Protocol):
    """What a gate needs of `AsyncBailiwick`."""

    async def evaluate(
        self, call: AccessCall, *, approval: Approval | None = None, dry_run: bool = False
    ) -> AccessDecision:
        """Ask about a call. `dry_run`: only what it would come to."""

    async def evaluate_many(self, calls: Sequence[AccessCall], *, dry_run: bool = False) -> list[AccessDecision]:
        """Ask about several calls. `dry_run`: only what they would come to."""

    async def wait(self, approval: Approval, *, until: float) -> Approval:
        """Wait until somebody has decided about a request, or until this time (seconds since the epoch)."""

    async def withdraw(self, identifier: str) -> Approval | AccessDecision:
        """Withdraw a request that is pending."""


class McpGate:
    """A gate in front of one MCP server."""

    def __init__(  # noqa: PLR0913 - all but the client have names and defaults
        self,
        pdp: McpAsker,
        *,
        tools: Mapping[str, ToolRule] | None = None,
        identity: Callable[[], str] | Principal | None = None,
        approve_with: str | None = None,
        approve_at: str | None = None,
        meta: Sequence[str] = (),
        wait_seconds: float = WAIT_SECONDS,
        waiting_calls: int = WAITING_CALLS,
    ) -> None:
        """Prepare; nothing is asked.

        `tools` says what each tool does; a tool that is not in it is denied. None: each tool is an action of its own
        name. `identity` is whose calls those are that come over stdio or in process, without a token: a function that
        returns the process's own, or a name for a decision point that believes the enforcer. None: they are denied.
        `approve_with` is the command that an approver types, in which `{grant}` stands for what to approve:
        `kubectl bailiwick approve {grant} -n shop`. `approve_at` is the page that an approver opens, in which `{uid}`
        stands for its uid too: `https://bailiwick.example.com/grants/shop/{grant}?uid={uid}`. Both go into the answer
        to a call that waits for an approval.
        `meta` are members of a client's `_meta` that your server reads. They are asked about as the argument
        `dev.bailiwick/meta`; others do not reach the server, but for those of the connection, traces and progress.
        A repeated call waits for its approval for `wait_seconds` at a time, and at most `waiting_calls` do at once.
        """
        self._pdp = pdp
        self._tools = None if tools is None else dict(tools)
        self._identity = identity
        self._guide = ApprovalGuide(approve_with, approve_at)
        self._meta = tuple(meta)
        self._waiting = WaitingCalls(waiting_calls, wait_seconds)
        self._proven = ProvenTokens()

    async def prove(self, message: McpMessage, *, sent_on: bool = False) -> None:
        """Return where the server may look up what a message names, or list it. Raises `McpRefusalError`.

        A token that has not come lately is asked about, by a dry run of the bare method. Its sender is proven by any
        answer but that it proves no caller, or that no call is decided at the moment. `sent_on`: every message reaches
        a server behind this one.
        """
        if not (sent_on or message.method in GUARDED or message.method in LISTS or message.method == LISTEN):
            return
        who = self._who(message)
        if not message.token or self._proven.has(message.token):
            return
        try:
            decision = await self._pdp.evaluate(bare_call(message.method, who), dry_run=True)
        except ValueError as error:
            raise bad_request(sentences.undecidable("The request", error)) from error
        if not decision.available or decision.reason in UNPROVEN | UNDECIDED:
            raise decision_refusal(decision)
        self._proven.add(message.token)

    async def admit(self, message: McpMessage, resumption: Resumption | None = None) -> AccessDecision | None:
        """Return where a request may be served; None: it needs no decision. Raises `McpRefusalError`.

        `resumption`: its client repeats it, see `resumption.read_resumption`.
        """
        if message.method in HARMLESS or message.method in LISTS:
            return None
        if message.method == LISTEN:
            _check_listening(message.params)
            return None
        who = self._who(message)
        call: AccessCall | None = None
        decision: AccessDecision | None = None
        try:
            call = call_of(message, self._tools, who, self._meta)
            decision = await self._decide(call, message, resumption)
            if not decision.allowed:
                raise decision_refusal(decision, self._guide)
        except ValueError as error:
            await self._require_listed(message, who, None if call is None else replace(call, args=None))
            raise bad_request(sentences.undecidable("The request", error)) from error
        except McpRefusalError as error:
            if call is not None and error.task is not None:
                error.input_required = self._input_required(error, error.task, message, call, resumption)
            if call is None:
                await self._require_listed(message, who, call)
            elif decision is not None and decision.refused:
                # Its arguments are not what the decision point takes.
                await self._require_listed(message, who, replace(call, args=None))
                raise bad_request(sentences.undecidable("The request", decision.detail)) from error
            raise
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
            raise bad_request(sentences.undecidable("The list", error)) from error
        for decision in decisions:
            if not decision.available:
                raise decision_refusal(decision)
        found = iter(decisions)
        return [call is not None and _is_listed(next(found)) for call in calls]

    def report(self, decision: AccessDecision, outcome: CallOutcome) -> None:
        """Report in the background what became of a message that was let through, if it matters. Raises nothing."""
        report_soon(self._pdp, decision, outcome)

    async def close(self) -> None:
        """End the connections to the decision point, after the reports that are on their way."""
        await self._pdp.close()

    def end_waiting(self) -> None:
        """Answer the calls that wait now, since the server ends: their clients repeat them elsewhere."""
        self._waiting.end()

    async def _require_listed(
        self, message: McpMessage, who: tuple[str | None, Principal | None], call: AccessCall | None
    ) -> None:
        """Return where a caller may know of what a message names. Raises `McpRefusalError`.

        What refuses a message for another reason than a plain decision tells what the server has, and what that takes.
        `call` is asked about where there is one, else the item as for a list.
        """
        found = message.params.get("uri" if message.method in OF_RESOURCES else "name")
        if message.method not in GUARDED or not isinstance(found, str) or not found:
            return
        name = found if message.tool is None else message.tool.name
        if call is None:
            call = listed_call(message.method, name, message.tool, self._tools, who, message.params.get("arguments"))
        if call is None:
            raise unmapped(f"The tool {name}")
        try:
            decision = await self._pdp.evaluate(call, dry_run=True)
        except ValueError as error:
            raise bad_request(sentences.undecidable("The request", error)) from error
        if not decision.available or not _is_known(decision):
            raise decision_refusal(decision, self._guide)

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

    async def _decide(self, call: AccessCall, message: McpMessage, resumption: Resumption | None) -> AccessDecision:
        if resumption is not None:
            return await self._resumed(call, resumption)
        shown, reason = message.meta.get(APPROVAL_META), message.meta.get(REASON_META)
        if shown is None and reason is None:
            return await self._pdp.evaluate(call)
        # What becomes of a request for an approval tells that its tool is there, and whose the request is.
        look = await self._pdp.evaluate(call, dry_run=True)
        if not look.available or not _is_known(look):
            return look
        if reason is not None:
            raise await self._opened(call, reason)
        return await self._pdp.evaluate(call, approval=await self._approval(shown))

    async def _approval(self, shown: object) -> Approval:
        if isinstance(shown, Mapping) and isinstance(shown.get("id"), str) and shown["id"]:
            return Approval(id=shown["id"], status="approved", shown=dict(shown))
        if not isinstance(shown, str) or not shown:
            raise ValueError(f"{APPROVAL_META} holds the id of a task, or the approval itself")
        found = await self._pdp.approval(shown)
        if isinstance(found, AccessDecision):
            raise decision_refusal(found)
        if not found.approved:
            raise approval_refusal(found, self._guide)
        return found

    async def _opened(self, call: AccessCall, reason: object) -> McpRefusalError:
        words = reason.strip() if isinstance(reason, str) else ""
        if not words or len(words) > _REASON_LENGTH:
            raise ValueError(f"{REASON_META} holds 1 to {_REASON_LENGTH} characters")
        try:
            return approval_refusal(await self._pdp.request_approval(call, reason=words), self._guide)
        except Denied as error:
            return decision_refusal(error.decision)

    async def _resumed(self, call: AccessCall, resumption: Resumption) -> AccessDecision:
        """Ask about a call that its client repeats. Raises `McpRefusalError`, also where it is to be repeated again."""
        # It proves who calls, before a place is held or a task is read, and uses, opens and counts nothing.
        look = await self._pdp.evaluate(call, dry_run=True)
        if not look.available or not _is_known(look):
            return look
        waits = look.task is not None and text(look.task, "id") == resumption.task
        if resumption.action == "decline":
            raise await self._declined(look, resumption.task, waits=waits)
        if look.reason == _APPROVAL_REQUIRED:
            return await self._looked_up(call, resumption)
        if waits:
            raise await self._waited(call, resumption)
        if look.task is not None or look.reason in _ENDED:
            return look
        approval = await self._approval(resumption.task) if look.reason == _TOKEN_REQUIRED else None
        return await self._pdp.evaluate(call, approval=approval)

    async def _looked_up(self, call: AccessCall, resumption: Resumption) -> AccessDecision:
        """Ask about a call of whose approval this decision point does not know, as one that another has just opened.

        By its id the decision point looks for it, and decides whether it is of this call. The task itself is not read
        before that: it may be of somebody else, of whom this caller learns nothing.
        """
        named = Approval(id=resumption.task, shown={"id": resumption.task})
        decision = await self._pdp.evaluate(call, approval=named)
        if decision.reason == APPROVAL_PENDING and text(decision.task, "id") == resumption.task:
            raise await self._waited(call, resumption)
        if decision.reason in {_APPROVAL_REQUIRED, APPROVAL_PENDING}:
            raise bad_request("requestState belongs to no approval of this call. Repeat the call without it.")
        if decision.reason == _TOKEN_REQUIRED:
            return await self._pdp.evaluate(call, approval=await self._approval(resumption.task))
        return decision

    async def _waited(self, call: AccessCall, resumption: Resumption) -> McpRefusalError:
        """Wait for an approval, and return the answer, whatever has come of it: nothing ran."""
        approval = Approval(id=resumption.task)
        if resumption.action == "cancel":
            error = approval_refusal(approval, self._guide)
            error.task = None
            return error

        async def look(pending: Approval, until: float) -> Approval:
            return await self._pdp.wait(pending, until=until)

        ended = await self._waiting.wait(caller_of(call.token or ""), approval, look)
        if ended is None:
            detail = "Too many calls wait for an approval at the moment. The request stays open. Repeat the call later."
            return McpRefusalError(DENIED_CODE, APPROVAL_PENDING, f"Nothing was done. {detail}")
        return approval_refusal(ended, self._guide)

    async def _declined(self, look: AccessDecision, task: str, *, waits: bool) -> McpRefusalError:
        """Withdraw the caller's own request at its user's word."""
        if not waits:
            detail = "Nothing was done, because you declined. There is no pending request of this call to withdraw."
            return McpRefusalError(DENIED_CODE, "approval_cancelled", detail, {"decision": look.reason})
        found = await self._pdp.withdraw(task)
        return decision_refusal(found) if isinstance(found, AccessDecision) else approval_refusal(found, self._guide)

    def _input_required(
        self,
        error: McpRefusalError,
        task: Mapping[str, Any],
        message: McpMessage,
        call: AccessCall,
        resumption: Resumption | None,
    ) -> Mapping[str, Any] | None:
        """Return the result that makes a client repeat a call, with a link the first time."""
        identifier = text(task, "id") or ""
        known = resumption is not None and resumption.task == identifier
        named = {name: task[name] for name in ("id", "status") if name in task}
        about = {APPROVAL_META: {**error.data, "task": named, "message": str(error)}}
        return input_required(message, identifier, about, None if known else self._guide.link(task, call.action))


def _is_listed(decision: AccessDecision) -> bool:
    """Tell whether an item is listed: what no call may do is not.

    A tool that needs an approval is, since asking for one goes through its call; so is a tool of which only the
    arguments decide, since a list has none. The list widens nothing: each call is decided by itself.
    """
    if decision.would_allow or decision.access_request is not None or decision.task is not None:
        return True
    # A dry run does not say where to ask for an approval, but whether one can be asked for.
    askable = text(decision.context, "next_action") == "request"
    return askable or decision.reason in _FOR_WANT_OF_ARGUMENTS or decision.reason == _FOR_WANT_OF_NUMBERS


def _is_known(decision: AccessDecision) -> bool:
    """Tell whether a caller may know of what they named: a list shows it, or they have asked for an approval of it."""
    return _is_listed(decision) or decision.reason.startswith(_OF_GATES)


def _check_listening(params: Mapping[str, Any]) -> None:
    wanted = params.get("notifications")
    lists = {"toolsListChanged", "promptsListChanged", "resourcesListChanged"}
    if not isinstance(wanted, Mapping) or not set(wanted) <= lists:
        raise unmapped("A subscription to anything but lists")
