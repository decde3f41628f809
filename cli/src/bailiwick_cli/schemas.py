"""JSON Schemas of every kind that people write, tests of policies among them.

Standing: above `policytest`. Holds: pure; a kind has one schema, whoever prints it.
"""

from typing import Any, Final

from bailiwick_api.manifests import editorschema
from bailiwick_cli.policytest.model import KIND, PolicyTest

KINDS: Final = (*editorschema.MODELS, KIND)


def schema(kind: str) -> dict[str, Any]:
    """Return the schema of a kind. Raises `KeyError` for one that is none of `KINDS`."""
    return editorschema.file_schema(PolicyTest) if kind == KIND else editorschema.kind_schema(kind)
