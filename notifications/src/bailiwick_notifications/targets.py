"""The targets of a Secret: a name and a URL each, and for CloudEvents the secret that signs them. Pure.

Holds: closed. A target that is not understood is none, and the problem says why without repeating a URL or a secret;
the others of the same Secret are notified nevertheless.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from bailiwick_notifications import services
from bailiwick_notifications.cloudevent import SigningSecretError, signing_key

MOST_TARGETS: Final = 10
MOST_ENTRIES: Final = 2 * MOST_TARGETS
"""Of a Secret, with what signs. One with more is not read at all."""
SIGNED_BY: Final = ".secret"
"""`audit.secret` signs what goes to `audit`."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_EVENTS: Final = {"cloudevents+https": "https", "cloudevents+http": "http"}
Via = Literal["cloudevents", "apprise"]


@dataclass(frozen=True, slots=True)
class Target:
    """One target. `url` and `key` are secret, and are not in its repr. `key` None: of Apprise, which signs nothing."""

    name: str
    via: Via
    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """What may be shown of it: its service; of CloudEvents the host too."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}" if self.via == "cloudevents" else f"{parts.scheme}://"


@dataclass(frozen=True, slots=True)
class TargetProblem:
    """What is wrong with one entry of a Secret."""

    entry: str
    message: str


@dataclass(frozen=True, slots=True)
class TargetSet:
    """What a Secret says."""

    targets: tuple[Target, ...] = ()
    problems: tuple[TargetProblem, ...] = ()


def parse(data: Mapping[str, bytes]) -> TargetSet:
    """Read the data of a Secret, decoded."""
    if len(data) > MOST_ENTRIES:
        return TargetSet(problems=(TargetProblem("data", f"has more than {MOST_ENTRIES} entries: none is used"),))
    targets: list[Target] = []
    wrong: list[TargetProblem] = []
    for entry in sorted(data):
        if entry.endswith(SIGNED_BY):
            if entry.removesuffix(SIGNED_BY) not in data:
                wrong.append(TargetProblem(entry[:60], f"signs nothing: there is no entry without {SIGNED_BY}"))
            continue
        found = _target(entry, data)
        if isinstance(found, TargetProblem):
            wrong.append(found)
        elif len(targets) == MOST_TARGETS:
            wrong.append(TargetProblem(entry, f"is one more than the {MOST_TARGETS} targets of a Secret"))
        else:
            targets.append(found)
    return TargetSet(tuple(targets), tuple(wrong))


def _target(entry: str, data: Mapping[str, bytes]) -> Target | TargetProblem:
    if not _NAME.fullmatch(entry):
        return TargetProblem(entry[:60], "the name of a target is at most 40 of a-z, 0-9 and -")
    try:
        url = data[entry].decode().strip()
    except UnicodeDecodeError:
        return TargetProblem(entry, "is not UTF-8")
    scheme, colon, _ = url.partition("://")
    if colon and scheme in _EVENTS:
        return _of_events(entry, url, data.get(entry + SIGNED_BY))
    if scheme in {"http", "https"}:
        return TargetProblem(entry, f"write cloudevents+{scheme}:// for CloudEvents, or the Apprise URL of the service")
    if entry + SIGNED_BY in data:
        return TargetProblem(entry, f"has a {SIGNED_BY}, but only CloudEvents are signed")
    for problem in services.problems(url):
        return TargetProblem(entry, problem)
    return Target(entry, "apprise", url)


def _of_events(entry: str, url: str, secret: bytes | None) -> Target | TargetProblem:
    if secret is None:
        return TargetProblem(entry, f"has no signing secret: add the entry {entry}{SIGNED_BY}")
    try:
        key = signing_key(secret.decode(errors="replace"))
    except SigningSecretError as error:
        return TargetProblem(entry + SIGNED_BY, str(error))
    if len(url) > services.MOST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return TargetProblem(entry, f"must be one line of at most {services.MOST_URL} ASCII characters without spaces")
    plain = url.removeprefix("cloudevents+")
    try:
        parts = urlsplit(plain)
        whole = bool(parts.hostname) and parts.port != 0 and not parts.fragment and "@" not in parts.netloc
    except ValueError:
        whole = False
    if not whole:
        return TargetProblem(entry, "must name a host, without a user, a password and a fragment")
    return Target(entry, "cloudevents", plain, key)
