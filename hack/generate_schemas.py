"""`python hack/generate_schemas.py [--check]`: write the JSON Schemas for editors from the models, or fail.

Holds: `crds/schemas` is exactly what `bailiwick schema` prints; `make verify` runs this module with --check.
"""

import json
from functools import partial
from pathlib import Path
from typing import Final

import page
from bailiwick_cli.commands import schema

FOLDER: Final = page.ROOT / "crds" / "schemas"


def path_of(kind: str) -> Path:
    """Return where the schema of a kind is."""
    return FOLDER / f"{kind.lower()}.schema.json"


def rendered(kind: str) -> str:
    """Return the file of a kind."""
    return f"{json.dumps(schema.json_schema(kind), indent=2, ensure_ascii=False)}\n"


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files. Returns 0, or 1 when --check found a difference."""
    found = [
        page.main(path_of(kind), partial(rendered, kind), "the model", __doc__, arguments) for kind in schema.KINDS
    ]
    return max(found)


if __name__ == "__main__":
    raise SystemExit(main())
