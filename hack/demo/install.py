"""Installing by hand, as a user without the chart would: plain `kubectl apply` of the generated manifests.

Standing: used by the demo and by the end-to-end tests; knows which files, and in which order.
"""

from pathlib import Path

from demo.narrator import Narrator
from demo.s7 import WORKLOADS
from demo.stack import MANIFESTS, Stack

_CRM = ("examples/crm/accounts.yaml", "examples/crm/policy.yaml", "hack/demo/broad-rights.yaml")
_DEPLOY = ("examples/deploy/accounts.yaml", "examples/deploy/policy.yaml")
_SECRETS = ("examples/secrets/accounts.yaml", "examples/secrets/policy.yaml")
_SUPPORT = ("examples/support/accounts.yaml", "examples/support/policy.yaml")
_REPORTS = ("examples/reports/accounts.yaml", "examples/reports/policy.yaml")
_SIGNED = ("examples/signed-reviews/accounts.yaml", "examples/signed-reviews/policy.yaml")
_EXAMPLES = (_CRM, _DEPLOY, _SECRETS, _SUPPORT, _REPORTS, _SIGNED)


class InstallError(Exception):
    """kubectl refused a manifest; the message is its own."""


def refuse_if_present(stack: Stack) -> None:
    """Raise `InstallError` where Bailiwick is on the cluster already: the demo would take away what is not its own."""
    code, _ = stack.kubectl("get", "crd", "endpointpolicies.bailiwick.dev")
    if code == 0:
        raise InstallError(f"Bailiwick is already on {stack.cluster.server}: the demo needs a cluster without it")


def bailiwick(stack: Stack, tell: Narrator) -> None:
    """Apply the definitions, the accounts and roles, and the guards. Raises `InstallError`."""
    tell.step("The definitions, roles and guards are applied.")
    for files in MANIFESTS:
        _apply(stack, tell, files)
    for plural in ("endpointpolicies", "approvalgrants", "endpointdata", "endpointhistories", "subjectrevocations"):
        _run(stack, "wait", "--for=condition=Established", f"crd/{plural}.bailiwick.dev", "--timeout=30s")


def crm(stack: Stack, tell: Narrator) -> None:
    """Apply the CRM example, and wait until its policy is accepted. Raises `InstallError`."""
    _apply(stack, tell, _CRM)
    _await_all(stack, tell, "Accepted")


def examples(stack: Stack, tell: Narrator, *policies: Path) -> None:
    """Apply the examples and further policies. Raises `InstallError`."""
    for files in (*_EXAMPLES, *((str(policy),) for policy in policies)):
        _apply(stack, tell, files)


def await_served(stack: Stack, tell: Narrator) -> None:
    """Wait until every decision point decides by every policy, as the operator found by asking them."""
    _await_all(stack, tell, "Ready")


def remove(stack: Stack) -> None:
    """Take back everything that was applied."""
    for files in ((WORKLOADS,), *_EXAMPLES, *reversed(MANIFESTS)):
        _run(stack, "delete", "--ignore-not-found", "--timeout=50s", *(f"--filename={file}" for file in files))


def _await_all(stack: Stack, tell: Narrator, condition: str) -> None:
    waiting = ("wait", f"--for=condition={condition}", "epol", "--all", "--all-namespaces", "--timeout=30s")
    tell.command(f"kubectl {' '.join(waiting)}")
    tell.answer(_run(stack, *waiting))


def _apply(stack: Stack, tell: Narrator, files: tuple[str, ...]) -> None:
    tell.command(f"kubectl apply --server-side {' '.join(f'-f {file}' for file in files)}")
    tell.answer(_run(stack, "apply", "--server-side", *(f"--filename={file}" for file in files)))


def _run(stack: Stack, *arguments: str) -> str:
    code, said = stack.kubectl(*arguments)
    if code != 0:
        raise InstallError(f"kubectl {arguments[0]}: {said}")
    return said
