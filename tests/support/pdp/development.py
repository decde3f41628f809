"""A decision point in development, asked and reviewed as a person at a terminal would."""

from dataclasses import dataclass
from typing import Any

from support.objects import AGENT
from support.pdp import questions
from support.pdp.questions import Said
from support.pdp.standalone import Process

OWNERS = ("crm-owners",)


@dataclass(frozen=True, slots=True)
class Development:
    """Asks about the agent of `support.objects` at `crm/crm-api`."""

    point: Process

    def ask(
        self,
        action: str,
        resource: str = "42",
        *,
        args: object = None,
        path: str = "evaluation",
        request_id: str | None = None,
        key: str | None = None,
        **context: Any,  # noqa: ANN401 - members of the context
    ) -> Said:
        """Ask as anyone."""
        headers = {} if request_id is None else {"X-Request-ID": request_id}
        headers |= {} if key is None else {"Idempotency-Key": key}
        body = questions.evaluation(AGENT, action, resource, args=args, **context)
        return questions.post(self.point.url(path), body, None, headers)

    def cancel(self, task: str) -> Said:
        """Withdraw a request."""
        return questions.post(self.point.url(f"requests/{task}/cancel"), {}, None)

    def poll(self, task: str) -> Said:
        """Read a task."""
        return questions.get(self.point.url(f"requests/{task}"), None)

    def review(self, task: str | None, by: str = "carol", decision: str = "Approve", **more: object) -> Said:
        """Review a request; without a task, the only one that is pending."""
        named = {} if task is None else {"task": task}
        body = {"reviewer": by, "groups": OWNERS, "decision": decision, **named, **more}
        return questions.post(self.reviews, body, None)

    @property
    def reviews(self) -> str:
        """The URL of reviews."""
        return f"http://127.0.0.1:{self.point.port}/endpoints/crm/crm-api/development/reviews"
