"""The file of reviewers' keys: whose key is whose, and since and until when.

Standing: over `publickey`; `registrars` says whether the file counts. Source: ALLOWED SIGNERS of ssh-keygen(1), of
which this is a part: `ssh-keygen -Y verify` reads the same file to the same end. Holds: anything else in it makes the
whole file an error, with its line.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from bailiwick_engine.signatures.publickey import PublicKey, PublicKeyError, parse_key_text
from bailiwick_engine.signatures.statement import REVIEW_NAMESPACE

MOST_BYTES: Final = 256 * 1024
KEYS_PER_PERSON: Final = 8
MOST_PRINCIPAL: Final = 1022
"""As OpenSSH reads them."""
MAX_SERIAL: Final = 2**53 - 1
_HEADERS: Final = 3
_SERIAL: Final = re.compile(r"# serial: ([1-9][0-9]{0,15})")
_EXPIRES: Final = re.compile(r"# expires: ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)")
_INSTALLATION: Final = re.compile(r"# installation: ([A-Za-z0-9]([-._A-Za-z0-9]{0,251}[A-Za-z0-9])?)")
_HEADER: Final = re.compile(r"#\s*(serial|expires|installation)\b", re.IGNORECASE)
_ENTRY: Final = re.compile(r"(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)(?:[ \t]+(.*))?")
_OPTION: Final = re.compile(r'([a-z-]+)(?:="([^",]*)")?')
_TIME: Final = re.compile(r"[0-9]{8}([0-9]{4}([0-9]{2})?)?Z")
# What OpenSSH reads as a pattern, a list, a quotation or a comment.
_AMBIGUOUS: Final = re.compile(r'[*?!,"#\\]')


def is_installation(name: str) -> bool:
    """Tell whether this can be the name of an installation in a file."""
    return _INSTALLATION.fullmatch(f"# installation: {name}") is not None


class ReviewerKeysError(ValueError):
    """A file of reviewers' keys that cannot be read. Its text has the line and says why."""


@dataclass(frozen=True, slots=True)
class ReviewerKey:
    """One line: a key of one person. Times are seconds since the epoch; it counts from `after` until `before`."""

    principal: str
    key: PublicKey
    after: float | None = None
    before: float | None = None
    comment: str = ""

    def in_time(self, now: float, earliest: float | None = None) -> bool:
        """Tell whether the key counts at a time.

        `earliest`: the earliest time that it can be, where `now` is the latest: the key has begun by the one and not
        ended by the other. None: the time is known, and is `now`.
        """
        begun = self.after is None or self.after <= (now if earliest is None else earliest)
        return begun and (self.before is None or now < self.before)


@dataclass(frozen=True, slots=True)
class ReviewerKeys:
    """A file. `expires`: seconds since the epoch, from when on none of it counts. `installation`: where it counts."""

    serial: int
    expires: float
    entries: tuple[ReviewerKey, ...] = ()
    installation: str = ""
    _by_key: dict[tuple[str, bytes], ReviewerKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = {(one.principal, one.key.blob): one for one in self.entries}
        object.__setattr__(self, "_by_key", found)

    def key_of(self, principal: str, key: PublicKey) -> ReviewerKey | None:
        """Return the line that gives a person this key; None where there is none."""
        return self._by_key.get((principal, key.blob))


def parse_reviewer_keys(text: str) -> ReviewerKeys:
    """Read a file. Raises `ReviewerKeysError`."""
    if (size := len(text.encode(errors="replace"))) > MOST_BYTES:
        message = f"the file has {size} bytes, but it can have at most {MOST_BYTES}"
        raise ReviewerKeysError(message)
    lines = text.removesuffix("\n").split("\n")
    serial = _SERIAL.fullmatch(lines[0])
    expires = _EXPIRES.fullmatch(lines[1]) if len(lines) > 1 else None
    end = None if expires is None else _seconds(expires[1], "%Y-%m-%dT%H:%M:%SZ")
    installation = _INSTALLATION.fullmatch(lines[2]) if len(lines) > _HEADERS - 1 else None
    if serial is None or int(serial[1]) > MAX_SERIAL or end is None or installation is None:
        message = (
            'the file must begin with the lines "# serial: 1", "# expires: 2030-01-31T00:00:00Z" and "# installation:'
            ' production"'
        )
        raise ReviewerKeysError(message)
    entries: list[ReviewerKey] = []
    owners: dict[bytes, int] = {}
    counts: Counter[str] = Counter()
    for number, line in enumerate(lines[_HEADERS:], start=_HEADERS + 1):
        try:
            entry = _entry(line)
            if entry is None:
                continue
            counts[entry.principal] += 1
            _check_owner(entry, owners, counts, number)
        except (ReviewerKeysError, PublicKeyError) as error:
            message = f"line {number}: {error}"
            raise ReviewerKeysError(message) from error
        entries.append(entry)
    return ReviewerKeys(int(serial[1]), end, tuple(entries), installation[1])


def _check_owner(entry: ReviewerKey, owners: dict[bytes, int], counts: Counter[str], number: int) -> None:
    """Raise if the key is here already, under whatever name or type, or the person has too many."""
    if (first := owners.setdefault(entry.key.material, number)) != number:
        message = f"this key is in line {first} too: a key belongs to one person, once"
        raise ReviewerKeysError(message)
    if counts[entry.principal] > KEYS_PER_PERSON:
        message = f"{entry.principal} has more than {KEYS_PER_PERSON} keys: remove one"
        raise ReviewerKeysError(message)


def _entry(line: str) -> ReviewerKey | None:
    """Return what a line says; None of an empty one and a comment."""
    if not line.replace("\t", " ").isprintable():
        message = "it has a character that cannot be printed"
        raise ReviewerKeysError(message)
    if not line.strip():
        return None
    if line.startswith("#"):
        if _HEADER.match(line):
            message = "serial, expires and installation stand once, in the first three lines"
            raise ReviewerKeysError(message)
        return None
    match = _ENTRY.fullmatch(line)
    if match is None:
        message = f'write <username> namespaces="{REVIEW_NAMESPACE}" <type> <base64> <comment>, with nothing before it'
        raise ReviewerKeysError(message)
    principal, options, kind, encoded, comment = match.groups()
    if _AMBIGUOUS.search(principal):
        message = f'{principal} must be one exact username, without any of * ? ! , " # \\'
        raise ReviewerKeysError(message)
    if len(principal.encode()) > MOST_PRINCIPAL:
        message = f"the username must have at most {MOST_PRINCIPAL} characters"
        raise ReviewerKeysError(message)
    after, before = _options(options)
    return ReviewerKey(principal, parse_key_text(kind, encoded), after, before, comment or "")


def _options(text: str) -> tuple[float | None, float | None]:
    """Return from and until when a key counts."""
    found: dict[str, str] = {}
    for part in text.split(","):
        match = _OPTION.fullmatch(part)
        name, value = (part, None) if match is None else match.groups()
        if name not in {"namespaces", "valid-after", "valid-before"} or value is None:
            message = (
                f'option {name} is not accepted: use namespaces="{REVIEW_NAMESPACE}", valid-after and valid-before'
            )
            raise ReviewerKeysError(message)
        if name in found:
            message = f"option {name} stands twice"
            raise ReviewerKeysError(message)
        found[name] = value
    if found.get("namespaces") != REVIEW_NAMESPACE:
        message = f'it needs the option namespaces="{REVIEW_NAMESPACE}", so that the key counts for nothing else'
        raise ReviewerKeysError(message)
    after, before = (_bound(found, name) for name in ("valid-after", "valid-before"))
    if after is not None and before is not None and before <= after:
        message = "valid-before must be later than valid-after"
        raise ReviewerKeysError(message)
    return after, before


def _bound(options: dict[str, str], name: str) -> float | None:
    text = options.get(name)
    if text is None:
        return None
    moment = None
    if _TIME.fullmatch(text):
        moment = _seconds(text, f"%Y%m%d{'%H%M%S'[: len(text) - len('YYYYMMDDZ')]}Z")
    if moment is None:
        message = f'{name}="{text}" must be a time in UTC: YYYYMMDDZ, YYYYMMDDhhmmZ or YYYYMMDDhhmmssZ'
        raise ReviewerKeysError(message)
    if moment <= 0:
        message = f'{name}="{text}" must be later than 1970-01-01: OpenSSH reads no earlier time'
        raise ReviewerKeysError(message)
    return moment


def _seconds(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
