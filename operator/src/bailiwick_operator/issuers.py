"""The decision point's file of issuers, as far as the operator asks: which there are, and whose people are known.

Holds: the decision point reads the file strictly and is the judge of it; here only two members of each entry are read.
"""

from pathlib import Path

import yaml


class IssuersError(Exception):
    """The file cannot be read; the message says why."""


def load(path: Path) -> dict[str, bool]:
    """Return, for each issuer by its name, whether it has `claims.kubernetesUsername`. Raises `IssuersError`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise IssuersError(f"{path} cannot be read: {error}") from error
    entries = content.get("issuers") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise IssuersError(f"{path}: a list of issuers is wanted")
    found = {}
    for index, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise IssuersError(f"{path}: issuers.{index}.name: a name is wanted")
        claims = entry.get("claims")
        found[name] = isinstance(claims, dict) and bool(claims.get("kubernetesUsername"))
    return found
