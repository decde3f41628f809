"""What a decision point can be asked, as steps that either client takes (see `exchange`).

Holds: every URL is made from the one that the application was given. No URL in an answer is followed: the tokens of
the application and of its callers would go along.
"""

import re
import time
import urllib.parse
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bailiwick import answers
from bailiwick.answers import MAX_CALLS, BatchSemantic
from bailiwick.call import (
    USER,
    AccessCall,
    AccessResource,
    Principal,
    body_of,
    encoded,
    entity,
    visible_reason,
)
from bailiwick.decision import APPROVED, AccessDecision, Approval, ApprovalNeeded, Denied, Unavailable, members, text
from bailiwick.exchange import IDEMPOTENCY_KEY, Exchanger, Pause, Question, QuestionReply, Send
from bailiwick.outcomes import OutcomeHandle, OutcomeReport
from bailiwick.transports.base import HttpResponse, TransportError

# Opening a grant is a write in the cluster, and reading a task one live read.
_APPROVAL_SECONDS: Final = 10.0
# Between two looks at a task: as the server says, but within these. ARAP draft, "Polling": at most a minute.
_MIN_POLL: Final = 0.5
_MAX_POLL: Final = 60.0
_POLL: Final = 5.0
# Pages of a search: a hundred names each.
_MAX_PAGES: Final = 100
_REPORT_RETRIES: Final = 1
# Connections of looks at tasks, which wait for the API server.
_TASKS: Final = "tasks"
_ENDPOINT: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_METADATA: Final = "/.well-known/authzen-configuration"
_ANYTHING: Final = AccessResource("any", "*")

_Sent = HttpResponse | TransportError | None


class Hits(NamedTuple):
    """What a search found. `incomplete`: there may be more, which policies do not name literally, or it was refused."""

    found: tuple[Mapping[str, Any], ...]
    incomplete: bool


def base_url(url: str, endpoint: str | None, *, plaintext: bool = False) -> str:
    """Return the base URL of an endpoint. Raises `ValueError` where tokens would travel unprotected."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} is no base URL of a decision point: https://host[:port][/path]")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not plaintext:
        raise ValueError(f"{url!r} sends tokens in the clear; where a mesh encrypts them, say plaintext=True")
    base = url.rstrip("/")
    if endpoint is None:
        return base
    if _ENDPOINT.fullmatch(endpoint) is None:
        raise ValueError(f"{endpoint!r} is no endpoint: <namespace>/<endpoint>")
    return f"{base}/endpoints/{endpoint}"


def _metadata_url(base: str) -> str:
    """Return where the metadata of a base URL are (AuthZEN 1.0, 9.2: before its path)."""
    parts = urllib.parse.urlsplit(base)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, f"{_METADATA}{parts.path}", "", ""))


class Questions:
    """The questions, for one endpoint."""

    def __init__(self, base: str, exchanger: Exchanger, seconds: float, now: Callable[[], float] = time.time) -> None:
        """`seconds` is the deadline of a decision; `now` the time of day."""
        self._base = f"{base}/access/v1"
        self._metadata = _metadata_url(base)
        self._exchanger = exchanger
        # Reports that fail must not deny calls, and a call that fails must not lose the reports of others.
        self._reporter = exchanger.with_own_breaker()
        # Nor does a look at a task, which people without a credential can have made.
        self._looker = exchanger.with_own_breaker()
        self._seconds = seconds
        self._now = now

    def evaluate(
        self, call: AccessCall, approval: Approval | None, headers: Mapping[str, str], *, dry_run: bool = False
    ) -> Generator[Send | Pause, _Sent, AccessDecision]:
        """Ask about one call. `dry_run`: only what it would come to."""
        body = encoded(body_of(call, approval=None if approval is None else approval.shown, dry_run=dry_run))
        reply = yield from self._ask("evaluation", body, headers)
        return answers.decision_of(reply, dry_run=dry_run)

    def evaluate_many(
        self, calls: Sequence[AccessCall], semantic: str, headers: Mapping[str, str], *, dry_run: bool = False
    ) -> Generator[Send | Pause, _Sent, list[AccessDecision]]:
        """Ask about several calls at once. Raises `ValueError` for more than a body can hold."""
        chosen = BatchSemantic(semantic)
        if len(calls) > MAX_CALLS:
            raise ValueError(f"{len(calls)} calls are more than {MAX_CALLS}: ask about them in several batches")
        if not calls:
            # AuthZEN answers an empty batch as one evaluation, which would be of nothing.
            return []
        body = {
            "evaluations": [body_of(call, dry_run=dry_run) for call in calls],
            "options": {"evaluations_semantic": chosen.value},
        }
        reply = yield from self._ask("evaluations", encoded(body), headers)
        return answers.decisions_of(reply, len(calls), chosen, dry_run=dry_run)

    def report(self, handle: OutcomeHandle, outcome: str) -> Generator[Send | Pause, _Sent, OutcomeReport]:
        """Report what became of a call, within the deadline of a decision."""
        body = {"evaluation_id": handle.evaluation_id, "handle": handle.handle, "outcome": outcome}
        url = f"{self._base}/outcomes"
        question = Question(
            url, encoded(body), self._seconds, retries=_REPORT_RETRIES, repeatable=True, metadata=self._metadata
        )
        reply = yield from self._reporter.ask(question)
        return answers.report_of(reply, outcome)

    def request_approval(
        self, call: AccessCall, denial: AccessDecision | None, reason: str, key: str | None, headers: Mapping[str, str]
    ) -> Generator[Send | Pause, _Sent, Approval]:
        """Ask for an approval. Raises `Denied` where none can be asked for, `Unavailable` where no answer came.

        Raises `ValueError` for a reason without a visible character.
        """
        body = body_of(call, reason=visible_reason(reason))
        if denial is not None:
            asked = denial.access_request or {}
            named = {"evaluation_id": denial.evaluation_id, "reason": denial.reason}
            named |= {name: text(asked, name) for name in ("binding_token", "expires_at", "template")}
            body["denial"] = {name: value for name, value in named.items() if value is not None}
        own = {IDEMPOTENCY_KEY: key or str(uuid.uuid4()), **headers}
        reply = yield from self._ask("requests", encoded(body), own, _APPROVAL_SECONDS)
        came = answers.approval_of(reply)
        if isinstance(came, AccessDecision):
            raise (Denied if came.available else Unavailable)(came, call)
        return came

    def task(self, identifier: str) -> Generator[Send | Pause, _Sent, Approval | AccessDecision]:
        """Look once what became of a request."""
        url = f"{self._base}/requests/{urllib.parse.quote(identifier, safe='')}"
        question = Question(url, None, _APPROVAL_SECONDS, metadata=self._metadata, lane=_TASKS)
        reply = yield from self._looker.ask(question)
        return answers.approval_of(reply)

    def withdraw(self, identifier: str) -> Generator[Send | Pause, _Sent, Approval | AccessDecision]:
        """Withdraw a request that is pending; a denial where that is not possible."""
        path = f"requests/{urllib.parse.quote(identifier, safe='')}/cancel"
        reply = yield from self._ask(path, encoded({}), {}, _APPROVAL_SECONDS)
        return answers.approval_of(reply)

    def wait(self, approval: Approval, until: float) -> Generator[Send | Pause, _Sent, Approval]:
        """Look again and again, until it has ended or until this time of day. A look that fails is made again."""
        while approval.pending:
            wait = min(max(approval.retry_after or _POLL, _MIN_POLL), _MAX_POLL)
            left = until - self._now()
            if left <= 0:
                break
            yield Pause(min(wait, left))
            came = yield from self.task(approval.id)
            if isinstance(came, Approval):
                approval = came
            elif came.available:
                # There is no such request any more: nothing will come of it.
                return Approval(id=approval.id, status="failed", expires_at=approval.expires_at)
        return approval

    def search(
        self,
        what: str,
        parts: Mapping[str, Any],
        headers: Mapping[str, str],
    ) -> Generator[Send | Pause, _Sent, Hits]:
        """Search, page by page. Raises `Unavailable`: half a list is none."""
        found: list[Mapping[str, Any]] = []
        page: dict[str, Any] = {}
        incomplete = False
        for _ in range(_MAX_PAGES):
            body = encoded({**parts, **({"page": page} if page else {})})
            reply = yield from self._ask(f"search/{what}", body, headers, _APPROVAL_SECONDS)
            listed = reply.body.get("results") if isinstance(reply.body, Mapping) else None
            if reply.status != 200 or not isinstance(listed, list):  # noqa: PLR2004 - AuthZEN answers a search with 200 alone
                raise _unavailable(reply)
            found += [one for one in listed if isinstance(one, Mapping)]
            said = members(reply.body, "context")
            # With a reason it was refused: that nothing was found says nothing then.
            incomplete = incomplete or said.get("incomplete") is True or "reason" in said
            token = text(members(reply.body, "page"), "next_token")
            if token is None:
                return Hits(tuple(found), incomplete)
            page = {"token": token}
        return Hits(tuple(found), incomplete=True)

    def _ask(
        self, path: str, body: bytes | None, headers: Mapping[str, str], seconds: float | None = None
    ) -> Generator[Send | Pause, _Sent, QuestionReply]:
        url, metadata = f"{self._base}/{path}", self._metadata
        question = Question(url, body, seconds or self._seconds, headers, metadata=metadata)
        return (yield from self._exchanger.ask(question))


def searched(
    subject: Principal | str | None,
    action: str | None,
    resource: AccessResource | str | None,
    token: str | None,
    context: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the body of a search: what is a text where an entity could stand is the type that is looked for."""
    if subject is None and token is not None:
        subject = Principal.of_token(token)
    parts: dict[str, Any] = {
        "subject": {"type": subject} if isinstance(subject, str) else entity(subject or Principal(USER, "*")),
        "resource": {"type": resource} if isinstance(resource, str) else entity(resource or _ANYTHING),
    }
    if action is not None:
        parts["action"] = {"name": action}
    said = dict(context or {})
    if token is not None:
        said["evidence"] = {"subject_token": token}
    return {**parts, **({"context": said} if said else {})}


def needed(decision: AccessDecision, call: AccessCall) -> Denied:
    """Return the error that a denial is."""
    if not decision.available:
        return Unavailable(decision, call)
    waits = decision.access_request is not None or decision.task is not None
    return (ApprovalNeeded if waits else Denied)(decision, call)


def denial_of(approval: Approval) -> AccessDecision:
    """Return the denial of a call whose approval did not come."""
    task = dict(approval.task) or {"id": approval.id, "status": approval.status}
    return AccessDecision(allowed=False, reason=approval.reason, context={"reason": approval.reason, "task": task})


def opened(of: ApprovalNeeded | AccessCall) -> Approval | None:
    """Return the request that a denial says is open already, so that nothing need be asked for."""
    task = None if isinstance(of, AccessCall) else of.decision.task
    if task is None or text(task, "status") == APPROVED:
        return None
    try:
        return Approval.of_task({"task": task})
    except ValueError:
        return None


def _unavailable(reply: QuestionReply) -> Unavailable:
    decision = answers.decision_of(reply)
    return Unavailable(decision, AccessCall(action="search", resource=_ANYTHING))
