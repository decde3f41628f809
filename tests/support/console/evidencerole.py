"""The right to read what the strip of the console shows, given as the page tells to, until a block ends.

Holds: within the block the right is in force and a log is witnessed, so that the first look at the strip finds both: it
reads anew only after a while. After the block the right is gone, for whoever comes next to the same cluster.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from bailiwick_api.accounts import GUARD_CONFIG_MAP, WITNESS_CONFIG_MAP, WITNESS_KEYS_ENTRY, WITNESS_MONTHS
from demo.stack import Stack
from localcluster.rest import Rest
from support.shell import Shell, succeeded
from support.waits import until

_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
_READ: Final = (GUARD_CONFIG_MAP, WITNESS_CONFIG_MAP, *WITNESS_MONTHS)


@contextmanager
def evidence_role(stack: Stack, owner: str) -> Iterator[None]:
    """Let the owners of the demo, of whom `owner` is one, read evidence in the block."""
    admin, reader = stack.cluster.rest(), stack.cluster.rest(owner)
    namespace = stack.installation.namespace
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    try:
        succeeded(Shell(stack.cluster, "how-to/console.md").run("kubectl create role bailiwick-evidence"))
        until(lambda: not any(_refused(reader, maps)), f"{owner} may read evidence")
        until(lambda: _witnessed(admin, f"{maps}/{WITNESS_CONFIG_MAP}"), "a log is witnessed")
        yield
    finally:
        for kind in ("rolebindings", "roles"):
            admin.delete(f"{_RBAC}/namespaces/{namespace}/{kind}/bailiwick-evidence")
        until(lambda: all(_refused(reader, maps)), f"{owner} may not read evidence any more")


def _refused(reader: Rest, maps: str) -> list[bool]:
    # One that is not there yet is refused with another status.
    return [reader.get(f"{maps}/{name}").status == HTTPStatus.FORBIDDEN for name in _READ]


def _witnessed(admin: Rest, path: str) -> bool:
    data = (admin.get(path).body or {}).get("data", {})
    return bool(data.keys() - {WITNESS_KEYS_ENTRY})
