"""Tools of the OpenAI Agents SDK that run only where the decision point allows it: this caller, these arguments, now.

`needs_approval` asks for an approval, and the run pauses. `state.approve` ends the pause and lets nothing run: the tool
asks again when it is about to act, and only a grant lets it.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agents import Agent, FunctionTool, Model, RunContextWrapper, function_tool
from agents.tool_context import ToolContext

from bailiwick import Approval, AsyncBailiwick, Call, Decision, Denied, Resource

CUSTOMERS = {
    "41": {"name": "Fern & Daughters", "revenue": 120_000},
    "42": {"name": "Harbour Mills", "revenue": 910_000},
}


class ToolGuard:
    """Makes tools that ask before they run."""

    def __init__(self, pdp: AsyncBailiwick, token: Callable[[], str], reason: str) -> None:
        self._pdp = pdp
        self._token = token
        self._reason = reason

    def tool(self, action: str, resource: tuple[str, str]) -> Callable[[Callable[..., Awaitable[Any]]], FunctionTool]:
        """Make a tool of a function whose first parameter is the `ToolContext`. `{name}` stands for an argument."""

        def call(args: Mapping[str, Any]) -> Call:
            kind, identifier = resource
            return Call(
                token=self._token(), action=action, resource=Resource(kind, identifier.format_map(args)), args=args
            )

        async def pauses(_: RunContextWrapper[Any], args: dict[str, Any], call_id: str) -> bool:
            try:
                return (await self._requested(call(args), call_id)).pending
            except Denied:
                return False  # Allowed as it is, or denied whatever anybody says: the tool asks.

        def made(function: Callable[..., Awaitable[Any]]) -> FunctionTool:
            signature = inspect.signature(function)

            @functools.wraps(function)
            async def checked(context: ToolContext[Any], *args: Any, **more: Any) -> Any:  # noqa: ANN401 - the function's
                # The very values that the function gets, not those that the model wrote.
                bound = signature.bind(context, *args, **more)
                bound.apply_defaults()
                _, *given = bound.arguments.items()
                decision = await self._decided(call(dict(given)), context.tool_call_id)
                if not decision.allowed:
                    return f"Nothing was done. {decision.reason}: {decision.sentence}"
                return await function(context, *args, **more)

            return function_tool(checked, needs_approval=pauses)

        return made

    async def _decided(self, call: Call, call_id: str) -> Decision:
        decision = await self._pdp.evaluate(call)
        if decision.allowed or not (decision.access_request or decision.task):
            return decision
        try:
            approval = await self._requested(call, call_id)
        except Denied as error:
            return error.decision
        return await self._pdp.evaluate(call, approval=approval) if approval.approved else decision

    async def _requested(self, call: Call, call_id: str) -> Approval:
        # One key for each call of the model: it is the same task however often it is asked for.
        return await self._pdp.request_approval(call, reason=self._reason, idempotency_key=call_id)


def agent(model: Model | str, guard: ToolGuard) -> Agent[Any]:
    @guard.tool("customers.list", ("customer", "*"))
    async def list_customers(_: ToolContext[Any]) -> list[str]:
        """List the ids of all customers."""
        return list(CUSTOMERS)

    @guard.tool("customers.export", ("customer", "{customer_id}"))
    async def export_customer(_: ToolContext[Any], customer_id: str, fields: list[str]) -> dict[str, Any]:
        """Export these fields of a customer."""
        customer = CUSTOMERS.get(customer_id, {})
        return {field: customer.get(field) for field in fields}

    return Agent(name="crm", model=model, tools=[list_customers, export_customer])
