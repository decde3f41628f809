"""Answers to calls of MCP that do not run: why, who can change that, and how to go on.

Standing: pure, between the gate and `calls`. Holds: commands and links for people are made of names alone, and carry no
authority; what is only for administrators is left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick import sentences
from bailiwick.decision import AccessDecision, Approval, members, text
from bailiwick.mcp.calls import APPROVAL_META, DENIED_CODE, INTERNAL_CODE, REASON_META, McpRefusalError

APPROVAL_PENDING: Final = "approval_pending"
_HOW: Final = (
    "To request an approval, repeat this request with the same arguments, and with the reason in its _meta: "
    f'"{REASON_META}": "<ticket and reason>".'
)
_AGAIN: Final = (
    f'After it is approved, repeat this request with the same arguments, and with "{APPROVAL_META}": "<task.id>" in its'
    " _meta. Do not change the arguments: other arguments need another approval."
)
_NO_AUTHORITY: Final = "The page approves nothing by itself."
# What a command or a link for a person may hold: the task's id comes from outside.
_ID: Final = re.compile(r"([a-z0-9][-a-z0-9.]*)\.([-a-z0-9]+)")


@dataclass(frozen=True, slots=True)
class ApprovalGuide:
    """Where an approver goes. `{grant}` stands for the name of what to approve, and `{uid}` for its uid.

    `command` is typed, and `page` is opened.
    """

    command: str | None = None
    page: str | None = None

    def members(self, identifier: str) -> dict[str, str]:
        """Return what of this there is for a task."""
        named = _ID.fullmatch(identifier)
        if named is None:
            return {}
        patterns = {"approve_with": self.command, "approve_at": self.page}
        return {
            name: pattern.replace("{grant}", named[1]).replace("{uid}", named[2])
            for name, pattern in patterns.items()
            if pattern is not None
        }

    def link(self, task: Mapping[str, Any], action: str) -> tuple[str, str] | None:
        """Return the page of a task, and a sentence for the user of a client; None without a page."""
        page = self.members(text(task, "id") or "").get("approve_at")
        groups = ", ".join(_groups(task)) or "A reviewer"
        return None if page is None else (page, f"{groups} must approve {action[:200]}. {_NO_AUTHORITY}")


def approval_refusal(approval: Approval, guide: ApprovalGuide) -> McpRefusalError:
    """Return the answer to a call that an approval was asked for: nothing ran, and what to do next."""
    reason = approval.reason
    task = dict(approval.task) or {"id": approval.id, "status": approval.status}
    data: dict[str, Any] = {"task": task}
    if approval.retry_after is not None:
        data["retry_after"] = approval.retry_after
    if reason != APPROVAL_PENDING:
        data["how"] = _HOW
        return McpRefusalError(DENIED_CODE, reason, f"Nothing was done. {_HOW} Task: {approval.id}", data)
    return _pending(reason, "Nothing was done.", task, data, guide)


def decision_refusal(decision: AccessDecision, guide: ApprovalGuide | None = None) -> McpRefusalError:
    """Return the answer to a call that was denied: why, and how to ask for an approval where one would help."""
    if not decision.available:
        return McpRefusalError(INTERNAL_CODE, decision.reason, sentences.undecided(refused=decision.refused))
    data, why = decision.public(), decision.sentence
    if decision.task is not None:
        return _pending(decision.reason, why, decision.task, data, guide or ApprovalGuide())
    if decision.access_request is not None:
        data["how"] = _HOW
        why = f"{why} {_HOW}".strip()
    return McpRefusalError(DENIED_CODE, decision.reason, why, data)


def _pending(
    reason: str, why: str, task: Mapping[str, Any], data: Mapping[str, Any], guide: ApprovalGuide
) -> McpRefusalError:
    """Return the answer to a call whose approval is pending, with what people have to know."""
    identifier, groups = text(task, "id") or "", _groups(task)
    places = guide.members(identifier)
    parts = [why, f"It waits for {', '.join(groups)}." if groups else "It waits for an approval."]
    if "approve_with" in places:
        parts.append(f"To approve, run: {places['approve_with']}.")
    if "approve_at" in places:
        parts.append(f"To see the request, open: {places['approve_at']} {_NO_AUTHORITY}")
    parts += [_AGAIN, f"Task: {identifier}"]
    found = McpRefusalError(DENIED_CODE, reason, " ".join(parts).strip(), {**data, **places, "how": _AGAIN})
    found.task = task
    return found


def _groups(task: Mapping[str, Any]) -> list[str]:
    """Return the groups that a task waits for."""
    awaited = members(task, "progress").get("awaiting")
    steps = [one for one in awaited if isinstance(one, Mapping)] if isinstance(awaited, list) else []
    groups = [group for one in steps for group in one.get("groups") or () if isinstance(group, str)]
    return list(dict.fromkeys(groups))
