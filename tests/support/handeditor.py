"""A tenant that edits large policies without end, which its grants written by hand name.

Standing: beside a running operator, for whoever measures what that costs other tenants. Holds: the policies are within
the budget of one namespace, and each takes as long to compile as the schema lets it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget
from localcluster.rest import Answer, Rest
from support.installation import accepted
from support.objects import Object, gated_rule, grant, policy, settings, step, subject

EDIT_SECONDS: Final = 2.5
_POLICIES: Final = 12
_RULES: Final = 64
_CONDITIONS: Final = 16
_NESTED: Final = 20
EACH: Final = 4
"""As many policies as a grant can name."""
_APPROVAL: Final = {"binding": "Scope", "steps": [{"name": "owner", "kind": "Human"}], "maxUses": 3}


class HandEditor:
    """Edits policies as `admin`; grants are written by `author`. `edits` counts how often all policies were edited."""

    def __init__(self, admin: Rest, author: Rest, namespace: str, policies: int = _POLICIES) -> None:
        self._count = policies
        self._admin = admin
        self._author = author
        self._namespace = namespace
        self.edits = 0

    def prepare(self) -> None:
        """Make the policies, and grants that name all of them."""
        bodies = self._policies(0)
        prints = [footprint(body["spec"]).bytes for body in bodies]
        assert max(prints) <= Budget().policy
        assert sum(prints) <= Budget().namespace
        for body in bodies:
            accepted(self._admin.create(body))
        names = [body["metadata"]["name"] for body in bodies]
        for first in range(0, self._count, EACH):
            named = names[first : first + EACH]
            body = grant(
                self._namespace,
                f"wanted-{first}",
                rules=[{"policy": name, "rule": "export"} for name in named],
                steps=[step(name) for name in named],
                # Whom there is not, so that it waits for the next edit.
                subject={"type": "serviceAccount", "id": f"system:serviceaccount:{self._namespace}:nobody"},
            )
            accepted(self._author.create(body))

    def edit(self) -> Iterator[Answer]:
        """Edit all policies once, and yield each answer of the API server."""
        self.edits += 1
        for body in self._policies(self.edits):
            yield self._admin.patch(body, {"spec": body["spec"]}, "merge")

    @contextmanager
    def editing(self) -> Iterator[None]:
        """Edit all policies again and again meanwhile."""
        over = threading.Event()
        thread = threading.Thread(target=self._edit_until, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _edit_until(self, over: threading.Event) -> None:
        while not over.wait(EDIT_SECONDS):
            for answer in self.edit():
                accepted(answer)

    def _policies(self, edit: int) -> list[Object]:
        return [_large_policy(self._namespace, number, edit) for number in range(self._count)]


def _large_policy(namespace: str, number: int, edit: int) -> Object:
    """Return a policy that takes long to compile for its size; every edit changes all of its conditions."""
    opened, closed = "(" * _NESTED, ")" * _NESTED
    rules = [
        {
            **gated_rule("export" if place == 0 else f"export{place}", approval=_APPROVAL),
            "conditions": [
                {"name": f"c{each}", "expression": f"{opened}context.m{number}_{place}_{each} != {edit}{closed}"}
                for each in range(_CONDITIONS)
            ],
        }
        for place in range(_RULES)
    ]
    carried = {} if number else {"endpointSettings": settings(namespace)}
    return policy(namespace, f"large-{number}", subjects=[subject("agent", namespace)], rules=rules, **carried)
