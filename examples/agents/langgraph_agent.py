"""A LangGraph agent whose tools run only where the decision point allows it: this caller, these arguments, now.

The graph pauses (`interrupt`) while somebody decides. What it is resumed with is not looked at: the decision point is
asked again, and only a grant lets the tool run.
"""

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest, ToolCallWithContext
from langgraph.types import Command, Send, interrupt
from pydantic import ValidationError

from bailiwick import Approval, Bailiwick, Call, Decision, Denied, Resource

CUSTOMERS = {
    "41": {"name": "Fern & Daughters", "revenue": 120_000},
    "42": {"name": "Harbour Mills", "revenue": 910_000},
}


@tool
def list_customers(limit: int = 100) -> list[str]:
    """List the ids of so many customers."""
    return list(CUSTOMERS)[:limit]


@tool
def export_customer(customer_id: str, fields: list[str]) -> dict[str, Any]:
    """Export these fields of a customer."""
    customer = CUSTOMERS.get(customer_id, {})
    return {field: customer.get(field) for field in fields}


# What each tool does, and to what. A tool that is not in here is denied.
ACTIONS = {
    "list_customers": ("customers.list", ("customer", "*")),
    "export_customer": ("customers.export", ("customer", "{customer_id}")),
}

Execute = Callable[[ToolCallRequest], ToolMessage | Command[Any]]


class ToolGuard:
    """Asks before a tool runs: `ToolNode([list_customers, export_customer], wrap_tool_call=ToolGuard(pdp, token))`."""

    def __init__(self, pdp: Bailiwick, token: Callable[[], str], reason: str) -> None:
        self._pdp = pdp
        self._token = token
        self._reason = reason

    def __call__(self, request: ToolCallRequest, execute: Execute) -> ToolMessage | Command[Any]:
        name, args = request.tool_call["name"], request.tool_call["args"]
        if name not in ACTIONS or request.tool is None:
            return _refusal(request, f"unmapped: nobody said what {name} does")
        try:
            # What the tool would change, such as "7" for 7, is not what is decided about.
            request.tool.tool_call_schema.model_validate(args, strict=True)
        except ValidationError as error:
            return _refusal(request, f"bad_request: {error}")
        # One for each call of the model, so that one task is opened however often LangGraph runs this again.
        key = f"{request.runtime.config['configurable']['thread_id']}:{request.tool_call['id']}"
        decision, approval = self._decided(self._call(name, args), key)
        while not decision.allowed and approval is not None and approval.pending:
            interrupt({"tool": name, "args": args, "task": approval.id, "why": decision.sentence})
            decision, approval = self._decided(self._call(name, args), key)
        return execute(request) if decision.allowed else _refusal(request, f"{decision.reason}: {decision.sentence}")

    def _call(self, name: str, args: Mapping[str, Any]) -> Call:
        action, (kind, identifier) = ACTIONS[name]
        return Call(token=self._token(), action=action, resource=Resource(kind, identifier.format_map(args)), args=args)

    def _decided(self, call: Call, key: str) -> tuple[Decision, Approval | None]:
        """Ask, and ask for an approval where one is needed. A new request each time: yes is only what it says now."""
        decision = self._pdp.evaluate(call)
        if decision.allowed or not (decision.access_request or decision.task):
            return decision, None
        try:
            approval = self._pdp.request_approval(call, reason=self._reason, idempotency_key=key)
        except Denied as error:
            return error.decision, None
        if approval.approved:
            decision = self._pdp.evaluate(call, approval=approval)
        return decision, approval


def graph(
    model: BaseChatModel, guard: ToolGuard, checkpointer: BaseCheckpointSaver[Any]
) -> CompiledStateGraph[Any, Any, Any, Any]:
    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def act(state: MessagesState) -> list[Send] | str:
        # Each call is a task of its own: a task that paused is run again from its start, with every call in it.
        calls = getattr(state["messages"][-1], "tool_calls", [])
        sent = (ToolCallWithContext(__type="tool_call_with_context", tool_call=call, state=state) for call in calls)
        return [Send("tools", one) for one in sent] or END

    flow = StateGraph(MessagesState)
    flow.add_node("model", think)
    flow.add_node("tools", ToolNode([list_customers, export_customer], wrap_tool_call=guard))
    flow.add_edge(START, "model")
    flow.add_conditional_edges("model", act, ["tools", END])
    flow.add_edge("tools", "model")
    return flow.compile(checkpointer=checkpointer)


def _refusal(request: ToolCallRequest, words: str) -> ToolMessage:
    return ToolMessage(f"Nothing was done. {words}", tool_call_id=request.tool_call["id"], status="error")
