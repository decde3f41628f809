"""`statement`: the exact bytes that an approval of a step signs, for a key that is elsewhere.

Holds: stdout has these bytes and nothing else; nothing is written to the cluster.
"""

import sys
import time

from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.verbs.grantverbs import StatementFlags
from bailiwick_engine.approval.display import visible
from bailiwick_governance.apiserver.cluster import grants_path
from bailiwick_governance.apiserver.people import who_am_i
from bailiwick_governance.arguments import grant_name
from bailiwick_governance.grants import signedreviews, steps
from bailiwick_governance.grants.grantview import GrantView


def run(options: StatementFlags) -> int:
    """Print the statement."""
    cluster = connect(options)
    name = grant_name(options.name)
    grant = GrantView(cluster.get(grants_path(cluster.namespace, name)), time.time())
    me = who_am_i(cluster)
    choice = steps.choose(grant, me, options.step, options.group)
    if choice.step.signature is None:
        raise CliError(f"step {visible(choice.step.name)} takes no signature: approve it without one")
    sys.stdout.buffer.write(signedreviews.statement(grant, me.username, choice, options.reason))
    return Exit.OK
