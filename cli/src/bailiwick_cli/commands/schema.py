"""`schema`: the JSON Schema of a kind, for editors."""

import json
import sys

from bailiwick_cli import schemas
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace
from bailiwick_cli.verbs.policyverbs import SchemaFlags


def run(options: SchemaFlags) -> int:
    """Print it."""
    refuse_cluster(options, "schema")
    refuse_namespace(options, "schema")
    named = {kind.lower(): kind for kind in schemas.KINDS}.get(options.kind.lower())
    if named is None:
        raise CliError(f"{options.kind} is no kind with a schema: the kinds are {', '.join(schemas.KINDS)}")
    sys.stdout.write(f"{json.dumps(schemas.schema(named), indent=2, ensure_ascii=False)}\n")
    return Exit.OK
