"""`schema`: the JSON Schema of a kind that people write, for editors. A test of policies is such a kind.

Holds: a kind has one schema, here and in `hack`.
"""

import json
import sys
from typing import Any, Final

from bailiwick_api.manifests import editorschema
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace
from bailiwick_cli.policytest.model import KIND, PolicyTest
from bailiwick_cli.verbs.policyverbs import SchemaFlags

KINDS: Final = (*editorschema.MODELS, KIND)


def run(options: SchemaFlags) -> int:
    """Print it."""
    refuse_cluster(options, "schema")
    refuse_namespace(options, "schema")
    named = {kind.lower(): kind for kind in KINDS}.get(options.kind.lower())
    if named is None:
        raise CliError(f"{options.kind} has no schema: the kinds are {', '.join(KINDS)}")
    sys.stdout.write(f"{json.dumps(json_schema(named), indent=2, ensure_ascii=False)}\n")
    return Exit.OK


def json_schema(kind: str) -> dict[str, Any]:
    """Return the schema of a kind. Raises `KeyError` for one that is none of `KINDS`."""
    return editorschema.file_schema(PolicyTest) if kind == KIND else editorschema.kind_schema(kind)
