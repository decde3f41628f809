"""`wait`: until a grant is approved, or has ended. By watching, and by the clock where a deadline is what ends it.

Holds: the answer is by the grant as it stands, judged at this moment; what breaks in between is watched again.
"""

import sys
import time

from bailiwick_cli import output
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.verbs.grantverbs import WaitCondition, WaitFlags
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.cluster import ClusterClient, grants_path
from bailiwick_governance.arguments import grant_name, seconds
from bailiwick_governance.display import talk
from bailiwick_governance.errors import ApiError
from bailiwick_governance.grants.grantview import GrantView, moment

_PAUSE = 0.5
_NOT_FOUND = 404


def run(options: WaitFlags) -> int:
    """Wait as the flags say."""
    name, timeout = grant_name(options.name), seconds(options.timeout, "--timeout")
    cluster = connect(options)
    return wait(cluster, name, options.until, timeout)


def wait(cluster: ClusterClient, name: str, until: WaitCondition, timeout: float, *, quiet: bool = False) -> int:
    """Wait for so many seconds; returns the exit code. A grant that is deleted has ended. `quiet`: without data."""
    deadline = time.monotonic() + timeout
    path = grants_path(cluster.namespace, name)
    grant = GrantView(cluster.get(path), time.time())
    shown = ""
    while True:
        phase = grant.phase
        if phase != shown:
            talk(f"{visible(name)} is {visible(phase)}{_progress(grant)}")
            shown = phase
        if (code := _outcome(grant, until)) is not None:
            if not quiet:
                sys.stdout.write(f"{output.reference(name)} {visible(phase.lower())}\n")
            return code
        left = deadline - time.monotonic()
        if left <= 0:
            talk(f"error: {visible(name)} is still {visible(phase)}: the wait timed out")
            return Exit.TIMED_OUT
        try:
            grant = _next(cluster, path, grant, left)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            raise CliError(f"{name} no longer exists: it ended, and the operator deleted it", Exit.NO) from error


def _outcome(grant: GrantView, until: WaitCondition) -> int | None:
    if until is WaitCondition.ENDED:
        return Exit.OK if grant.ended else None
    if grant.phase == "Active":
        return Exit.OK
    return Exit.NO if grant.ended else None


def _next(cluster: ClusterClient, path: str, grant: GrantView, left: float) -> GrantView:
    """Return the grant after the next change of it, or when its own deadline or so many seconds have passed."""
    end = left if grant.until is None else min(left, max(0.0, moment(grant.until) - time.time()) + _PAUSE)
    collection, _, name = path.rpartition("/")
    version = grant.raw["metadata"]["resourceVersion"]
    began = time.monotonic()
    if end >= 1:
        for event in cluster.watch(collection, version, end, fieldSelector=f"metadata.name={name}"):
            if event.type in {"ADDED", "MODIFIED"}:
                return GrantView(event.object, time.time())
            if event.type in {"DELETED", "GONE"}:
                break
    # A watch that ends at once must not become a busy loop.
    time.sleep(max(0.0, min(end, _PAUSE) - (time.monotonic() - began)))
    return GrantView(cluster.get(path), time.time())


def _progress(grant: GrantView) -> str:
    if grant.phase != "Pending":
        return ""
    return ": " + ", ".join(f"{visible(step.name)} {step.approvals} of {step.count}" for step in grant.steps)
