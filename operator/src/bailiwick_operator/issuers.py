"""The decision point's file of issuers, as far as the operator asks: which there are, and how they name their people.

Holds: the decision point reads the file strictly and is the judge of it; here few members of each entry are read.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml

from bailiwick_api.usernames import NAME_CLAIM, UsernameTemplate


class IssuersFileError(Exception):
    """The file cannot be read; the message says why."""


def mapped(issuers: Mapping[str, UsernameTemplate] | None) -> dict[str, bool] | None:
    """Return of each issuer whether the API server's names of its people are known."""
    return None if issuers is None else {name: naming.template is not None for name, naming in issuers.items()}


def load(path: Path) -> dict[str, UsernameTemplate]:
    """Return how each issuer, by its name, names its people. Raises `IssuersFileError`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise IssuersFileError(f"{path} cannot be read: {error}") from error
    entries = content.get("issuers") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise IssuersFileError(f"{path}: a list of issuers is wanted")
    found = {}
    for index, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise IssuersFileError(f"{path}: issuers.{index}.name: a name is wanted")
        claims = entry.get("claims")
        found[name] = _naming(claims if isinstance(claims, dict) else {})
    return found


def _naming(claims: Mapping[str, object]) -> UsernameTemplate:
    claim, template = claims.get("name"), claims.get("kubernetesUsername")
    return UsernameTemplate(
        claim if isinstance(claim, str) and claim else NAME_CLAIM,
        template if isinstance(template, str) and template else None,
    )
