"""Case S7: coverage names what no decision point is asked about, and prints what closes it.

Standing: played by the demo and the end-to-end tests; raises `NotAsToldError` if a step has another outcome. Holds: the
two bypasses are removed at the end, with what was pasted against them.
"""

import shlex
from typing import Final

from demo.ground import KUBECTL, Ground, output
from demo.narrator import Narrator
from demo.s1 import NotAsToldError

WORKLOADS: Final = "hack/demo/workloads.yaml"
_BYPASSES: Final = "hack/demo/bypasses.yaml"
_NAMESPACES: Final = ("agents", "ci", "crm", "deploy", "gateways", "ops", "reports", "support", "vault")
_FAIL_ON: Final = ("--fail-on", "unprotected", "--fail-on", "around")
_EXEMPT: Final = ("EndpointPolicy reports/agents", "EndpointPolicy vault/rotator")


class S7:
    """The case, on a running stack whose examples have an enforcer `gateways/proxy` in front of the CRM."""

    def __init__(self, stack: Ground, tell: Narrator) -> None:
        """Prepare; nothing is asked yet."""
        self._stack = stack
        self._tell = tell

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        self._tell.chapter("S7: coverage names the calls that nothing asks about")
        self._tell.step("What serves the examples is added to the cluster: Services, and pods that no node runs here.")
        self._kubectl("apply", "-f", WORKLOADS)
        self._tell.step("The administrator looks for calls that no decision point learns of.")
        said = self._coverage(0)
        self._contains(said, "no finding; 2 exempt; 7 of 7 Services have an enforcement point", *_EXEMPT)
        self._tell.held("nothing is found: two policies are exempt, and each gives its reason in an annotation")
        self._tell.step("Somebody adds a Service that asks nobody, and a network policy for debugging.")
        self._kubectl("apply", "-f", _BYPASSES)
        self._tell.step("A job looks again, and fails on what it is told to fail on.")
        said = self._coverage(1, *_FAIL_ON)
        self._contains(said, "unprotected   Service crm/billing", "around        Service crm/crm-behind-envoy")
        self._tell.held("exit code 1: each bypass has its code, its object and a sentence")
        self._tell.step("The administrator reads the fixes, and applies them as they are printed.")
        self._paste_fixes()
        self._tell.step("The job looks once more.")
        said = self._coverage(0, *_FAIL_ON)
        self._contains(said, "1 unruled; 2 exempt; 8 of 8 Services have an enforcement point")
        self._tell.held("exit code 0: both are closed. The first policy decides nothing yet, which coverage says too")
        self._tell.step("The bypasses and what was applied against them are removed.")
        self._kubectl("delete", "--ignore-not-found", "-f", self._fixes, "-f", _BYPASSES)

    @property
    def _fixes(self) -> str:
        return str(self._stack.folder / "fixes.yaml")

    def _paste_fixes(self) -> None:
        words = self._words("--fixes", "--fail-on", "none")
        config = f"--kubeconfig={self._stack.cluster.admin_kubeconfig}"
        code, printed, notes = output(KUBECTL, "bailiwick", *words, config)
        self._tell.command(f"kubectl bailiwick {shlex.join(words)} > fixes.yaml")
        self._tell.command("grep '^#' fixes.yaml")
        self._tell.answer("\n".join(line for line in printed.splitlines() if line.startswith("#")))
        if code != 0:
            raise NotAsToldError(f"printing the fixes should succeed, but exited with {code}: {notes}")
        (self._stack.folder / "fixes.yaml").write_text(printed, encoding="utf-8")
        self._kubectl("apply", "-f", self._fixes)

    def _coverage(self, wanted: int, *more: str) -> str:
        words = self._words(*more)
        self._tell.command(f"kubectl bailiwick {shlex.join(words)}")
        code, said = self._stack.bailiwick(*words, kubeconfig=self._stack.cluster.admin_kubeconfig)
        self._tell.answer(said)
        if code != wanted:
            raise NotAsToldError(f"coverage should exit with {wanted}, but exited with {code}: {said}")
        return said

    @staticmethod
    def _words(*more: str) -> tuple[str, ...]:
        return ("coverage", *(word for name in _NAMESPACES for word in ("-n", name)), *more)

    def _kubectl(self, *arguments: str) -> None:
        shown = shlex.join(arguments).replace(self._fixes, "fixes.yaml")
        self._tell.command(f"kubectl {shown}")
        code, said = self._stack.kubectl(*arguments)
        self._tell.answer(said)
        if code != 0:
            raise NotAsToldError(f"kubectl {arguments[0]} should succeed: {said}")

    @staticmethod
    def _contains(said: str, *parts: str) -> None:
        for part in parts:
            if part not in said:
                raise NotAsToldError(f"coverage should say {part!r}: {said}")
