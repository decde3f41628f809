"""The registration as it is generated, but for what a cluster without our Service needs: a URL, an authority, a name.

Holds: what is not one of those is left as it is shipped. It is for single namespaces, so that no other test's policy
asks a decision point that is about to be stopped.
"""

import base64
import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bailiwick_api.accounts import VALIDATING_WEBHOOK, Installation
from bailiwick_api.manifests import admission
from localcluster.rest import Rest
from support.installation import accepted
from support.objects import Object, policy, rule
from support.waits import until, until_ok

NAME: Final = "kubernetes.io/metadata.name"
BROKEN: Final = rule(conditions=[{"name": "broken", "expression": "1 +"}])


def registration(port: int, authority: Path, *namespaces: str, timeout: int | None = None) -> Object:
    """Return the registration of what listens on this port."""
    raw = admission.policies(Installation())
    (webhook,) = raw["webhooks"]
    raw["metadata"]["name"] += f"-{uuid.uuid4().hex[:8]}"
    webhook["clientConfig"] = {
        "url": f"https://127.0.0.1:{port}{admission.PATH}",
        "caBundle": base64.b64encode(authority.read_bytes()).decode(),
    }
    webhook["namespaceSelector"] = {"matchExpressions": [{"key": NAME, "operator": "In", "values": [*namespaces]}]}
    webhook["timeoutSeconds"] = timeout or webhook["timeoutSeconds"]
    return raw


@contextlib.contextmanager
def registered(admin: Rest, raw: Object, namespace: str) -> Iterator[None]:
    """Have policies of the namespace reviewed for a while; begins once it is felt."""
    accepted(admin.create(raw))
    broken = policy(namespace, "tried", rules=[BROKEN])
    try:
        until(lambda: VALIDATING_WEBHOOK in admin.create(broken, dry_run=True).message, "the registration is felt")
        yield
    finally:
        accepted(admin.delete(raw))
        until_ok(lambda: admin.create(broken, dry_run=True), "the registration is gone")
