"""What happens to grants in these tests: opened by the decision point, reviewed and revoked by people, looked at."""

import itertools
from typing import Final

from bailiwick_api.accounts import Installation
from localcluster.rest import Answer, Rest
from support.callers import Callers
from support.installation import accepted
from support.objects import Object, adding_review, opened_grant, review, revoking

SECONDS: Final = 20.0


class Grants:
    """Grants of one namespace."""

    def __init__(self, callers: Callers, installed: Installation, namespace: str) -> None:
        self._callers = callers
        self._installed = installed
        self.namespace = namespace
        self._numbers = itertools.count(1)

    @property
    def admin(self) -> Rest:
        """Who may do everything that RBAC can give, and what no guard forbids."""
        return self._callers.admin

    def open(self, **request: object) -> Object:
        """Open one, as the decision point."""
        body = opened_grant(self.namespace, f"wanted-{next(self._numbers)}")
        body["spec"]["request"] |= request
        return accepted(self._callers(self._installed.webhook).create(body))

    def review(self, grant: Object, reviewer: str = "dave", **fields: object) -> Answer:
        """Review it, as that person and naming them."""
        return self._callers(reviewer).patch(grant, adding_review(review(grant, reviewer) | fields), "json")

    def forge_review(self, grant: Object, reviewer: str = "dave") -> Answer:
        """Review it in another's name, as the administrator."""
        return self.admin.patch(grant, adding_review(review(grant, reviewer)), "json")

    def forge_status(self, grant: Object, status: Object) -> Answer:
        """Write its status, as the administrator."""
        return self.admin.patch(grant, {"status": status}, "merge", "status")

    def try_status(self, grant: Object) -> Answer:
        """Ask, as the operator, whether a status that says nothing else would be taken."""
        return self._callers(self._installed.operator).patch(grant, {"status": {}}, "merge", "status", dry_run=True)

    def revoke(self, grant: Object, by: str = "carol") -> Answer:
        """Revoke it."""
        return self._callers(by).patch(grant, revoking(by), "json")

    def read(self, grant: Object) -> Object:
        """Return it as it is now."""
        return accepted(self.admin.get(grant))

    def phase(self, grant: Object) -> str | None:
        """Return its phase as it is now."""
        return _phase(self.read(grant))

    def await_phase(self, grant: Object, phase: str, seconds: float = SECONDS) -> Object:
        """Wait until it has this phase, and return it."""
        return self.admin.wait(grant, lambda answer: _phase(answer.body) == phase, seconds).body

    def approved(self, **request: object) -> Object:
        """Open one, have it approved, and return it."""
        grant = self.open(**request)
        self.await_phase(grant, "Pending")
        accepted(self.review(grant))
        return self.await_phase(grant, "Active")


def _phase(body: Object) -> str | None:
    return (body.get("status") or {}).get("phase")
