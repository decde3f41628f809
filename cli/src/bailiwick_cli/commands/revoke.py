"""`revoke`: take a grant back. It needs no quorum and is final, so it is quick and asks nothing."""

import sys
import time

from bailiwick_cli import output
from bailiwick_cli.commands.review import one_name
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.verbs.grantverbs import RevokeFlags
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.cluster import ClusterClient, grants_path
from bailiwick_governance.apiserver.people import who_am_i
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError
from bailiwick_governance.grants import reviews
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.overlaps import find_overlaps


def run(options: RevokeFlags) -> int:
    """Revoke one grant, or withdraw it while it waits."""
    name = one_name(options.names, "revoke")
    if not options.reason.strip():
        raise CliError("--reason is empty: give a reason for the record")
    cluster = connect(options)
    me = who_am_i(cluster)
    grant = GrantView(cluster.get(grants_path(cluster.namespace, name)), time.time())
    if grant.raw["spec"].get("revocation") is not None:
        raise CliError(f"{grant.name} is already revoked")
    now = reviews.add_revocation(cluster, grant, me.username, options.reason)
    sys.stdout.write(f"{output.reference(grant.name)} {'withdrawn' if now.phase == 'Withdrawn' else 'revoked'}\n")
    # What was done by it is done: a person who revokes in a hurry reads that here.
    if grant.ended or now.uses:
        before = f"It was already {grant.phase}" if grant.ended else "It was in use"
        talk(f"{before}: {now.uses} of {now.max_uses} uses were made.")
    _tell_others(cluster, grant)
    return Exit.OK


def _tell_others(cluster: ClusterClient, grant: GrantView) -> None:
    """Tell which approvals still let such a call through: a person who revokes wants it stopped."""
    try:
        items, _ = cluster.list_all(grants_path(cluster.namespace))
    except UserError as error:
        # The revocation is written, whatever is not known besides.
        talk(f"note: cannot tell whether another approval still allows such a call: {error}")
        return
    for other in find_overlaps(grant, [GrantView(raw, time.time()) for raw in items]):
        revoke = f"kubectl bailiwick revoke {other.name} -n {other.namespace}"
        talk(f"{visible(other.name)} still allows such a call. To revoke it too, run `{visible(revoke)}`")
