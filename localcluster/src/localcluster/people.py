"""The test people: who they are and what groups they are in.

Standing: a table and its written form, the token file of the API server (it is read only at its start).
A person's token is random per cluster and lives only in that cluster's folder.
"""

import csv
import io
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may call the API server. Kubernetes adds `system:authenticated` by itself."""

    name: str
    uid: str
    groups: tuple[str, ...] = ()


ADMIN: Final = "admin"

PEOPLE: Final = (
    Person(ADMIN, "admin-uid", ("system:masters",)),
    Person("carol", "carol-uid", ("crm-owners",)),
    Person("dave", "dave-uid", ("crm-owners",)),
    Person("erin", "erin-uid", ("crm-owners", "sec-oncall")),
    Person("eve", "eve-uid", ("support",)),
    Person("grace", "grace-uid", ("sec-oncall",)),
    Person("mallory", "mallory-uid"),
    # One person, whose issuer writes the address in two cases.
    Person("ann@corp.example", "ann-uid", ("crm-owners",)),
    Person("Ann@corp.example", "ann-uid", ("crm-owners",)),
)


def new_tokens(people: Iterable[Person]) -> dict[str, str]:
    """Make a random token for each person, by name."""
    return {person.name: secrets.token_urlsafe(32) for person in people}


def token_file(people: Iterable[Person], tokens: Mapping[str, str]) -> str:
    """Write the table as `--token-auth-file` wants it: token, name, uid, groups in one quoted field."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for person in people:
        # An empty fourth field would make its owner a member of the group "".
        groups = [",".join(person.groups)] if person.groups else []
        rows.writerow([tokens[person.name], person.name, person.uid, *groups])
    return text.getvalue()


def tokens_in(text: str) -> dict[str, str]:
    """Read the tokens by name back from such a file."""
    return {row[1]: row[0] for row in csv.reader(io.StringIO(text)) if row}
