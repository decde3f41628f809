"""An owner who decides about a grant at a terminal, with the real `kubectl bailiwick`.

Standing: below the cases. Holds: the review is the owner's own write, guarded by the API server like any other.
"""

import shlex
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from demo.ground import Ground
from demo.narrator import Narrator
from demo.s1 import NotAsToldError

_GRANTS: Final = f"/apis/{API_VERSION}/namespaces/crm/{APPROVAL_GRANTS}"
_SECONDS: Final = 20.0
_APPROVED: Final = ("Active", "Consumed")
REASON: Final = "seen with the customer"
# As many digits of a binding confirm that the request is the one that was looked at.
_DIGITS: Final = 8
# Of all that it says: that it is done, and what the call is.
_TOLD: Final = ("approvalgrant.", "Action:", "Resource:", "Subject:", "Call:", "  args")


class Owner:
    """Carol, an owner of the CRM."""

    def __init__(self, stack: Ground, tell: Narrator) -> None:
        """Prepare; nothing is done yet."""
        self._stack = stack
        self._tell = tell

    def approve(self, task: str, *signing: str) -> None:
        """Approve the grant of a task, with the flags that sign it; returns once it counts.

        Raises `NotAsToldError`.
        """
        name = task.partition(".")[0]
        rest, path = self._stack.cluster.rest(), f"{_GRANTS}/{name}"
        rest.wait(path, lambda answer: _phase(answer) != "", _SECONDS)
        digest = rest.get(path).body["spec"]["request"]["binding"]["digest"].removeprefix("sha256:")
        words = ("approve", name, "-n", "crm", "--reason", REASON, *signing)
        confirmed = ("--yes", "--binding", digest[:_DIGITS])
        self._tell.command(f"kubectl bailiwick {shlex.join((*words, *confirmed))}    # as carol")
        code, said = self._stack.bailiwick(*words, *confirmed, kubeconfig=self._stack.cluster.kubeconfig("carol"))
        self._tell.answer("\n".join(line for line in said.splitlines() if line.startswith(_TOLD)))
        if code != 0:
            raise NotAsToldError(f"carol's approval should succeed, but kubectl bailiwick exited with {code}: {said}")
        # A call that waits may have used it by now.
        rest.wait(path, lambda answer: _phase(answer) in _APPROVED, _SECONDS)


def _phase(answer: Any) -> str:  # noqa: ANN401 - an answer of the API server
    return str(answer.body.get("status", {}).get("phase", ""))
