"""Whether the file of reviewers' keys counts: enough registrars signed it, and it is not one that was replaced.

Standing: over `reviewerkeys` and `sshsig`. Holds: only signatures of registrars, whose keys both processes have as a
flag, make a file count; what was signed before cannot be put back, nor beside another of the same serial.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_engine.signatures.passkeyorigins import PasskeyOriginError, parse_passkey_origin
from bailiwick_engine.signatures.publickey import PublicKey, PublicKeyError, parse_key_line
from bailiwick_engine.signatures.reviewerkeys import (
    ReviewerKeys,
    ReviewerKeysError,
    is_installation,
    parse_reviewer_keys,
)
from bailiwick_engine.signatures.sshsig import (
    END,
    USER_PRESENT,
    SignatureFormatError,
    SshSignature,
    parse_signature,
    verify,
)
from bailiwick_engine.signatures.statement import REVIEWERS_NAMESPACE

REVIEWERS_ENTRY: Final = "reviewers"
SIGNATURES_ENTRY: Final = "reviewers.sig"
MOST_SIGNATURES: Final = 16
MOST_SIGNATURE_CHARACTERS: Final = 16_384
_FLOOR: Final = re.compile(r"([1-9][0-9]{0,15}) (sha256:[0-9a-f]{64})")


class RegistrarsError(ValueError):
    """Registrars' keys, or a file of reviewers' keys, that cannot be used. Its text says why."""


@dataclass(frozen=True, slots=True)
class Registrars:
    """Who enrols reviewers, and how many of them must sign. `origins`: where passkeys are used."""

    keys: tuple[PublicKey, ...] = ()
    quorum: int = 1
    origins: frozenset[str] | None = frozenset()
    """None: not known; the RP ids of the enrolled keys say."""
    installation: str | None = None
    """The name that a file must have to count here, for registrars may sign for several; None: any, for people who
    look at a file."""

    def __bool__(self) -> bool:
        return bool(self.keys)


NO_REGISTRARS: Final = Registrars()


@dataclass(frozen=True, slots=True)
class SerialFloor:
    """The newest file that was in force: its serial and its digest."""

    serial: int = 0
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.serial} {self.digest}" if self.serial else ""

    @classmethod
    def parse(cls, text: object) -> "SerialFloor | None":
        """Read what `str` writes; None where it is something else. "" is no file yet."""
        if text == "":
            return cls()
        match = _FLOOR.fullmatch(text) if isinstance(text, str) else None
        return None if match is None else cls(int(match[1]), match[2])


NO_FLOOR: Final = SerialFloor()
"""There was no file yet."""


@dataclass(frozen=True, slots=True)
class ReviewerKeyFile:
    """A file with its signatures, as the ConfigMap has both."""

    text: str
    signatures: str

    @classmethod
    def from_config_map(cls, config_map: Mapping[str, Any] | None) -> "ReviewerKeyFile":
        """Return what a ConfigMap has. Raises `RegistrarsError`."""
        data = (config_map or {}).get("data") or {}
        text, signatures = data.get(REVIEWERS_ENTRY), data.get(SIGNATURES_ENTRY)
        if not isinstance(text, str) or not isinstance(signatures, str):
            message = f"it has no entries {REVIEWERS_ENTRY} and {SIGNATURES_ENTRY}"
            raise RegistrarsError(message)
        return cls(text, signatures)

    @property
    def digest(self) -> str:
        """`sha256:` and the hex SHA-256 of the text."""
        return f"sha256:{hashlib.sha256(self.text.encode(errors='replace')).hexdigest()}"

    def judge(self, registrars: Registrars, *floors: SerialFloor | None) -> ReviewerKeys:
        """Return the keys that the file gives. Raises `RegistrarsError`. A floor None: it is not known."""
        if not registrars:
            message = "this installation has no registrars: set --registrar-keys"
            raise RegistrarsError(message)
        signers = self._signers(registrars)
        if len(signers) < registrars.quorum:
            message = f"registrars who signed it: {len(signers)}, but {registrars.quorum} must"
            raise RegistrarsError(message)
        try:
            keys = parse_reviewer_keys(self.text)
        except ReviewerKeysError as error:
            raise RegistrarsError(str(error)) from error
        if registrars.installation not in {None, keys.installation}:
            message = f"it is for installation {keys.installation}, but this one is {registrars.installation}"
            raise RegistrarsError(message)
        for floor in floors:
            self._check_floor(keys, floor)
        return keys

    def _check_floor(self, keys: ReviewerKeys, floor: SerialFloor | None) -> None:
        """Raise `RegistrarsError` if an older file was put back, or another one has the serial too."""
        if floor is None:
            message = "the serial of the file before it cannot be read"
            raise RegistrarsError(message)
        if keys.serial < floor.serial:
            message = f"its serial is {keys.serial}, but {floor.serial} was in force: apply the newest file"
            raise RegistrarsError(message)
        if keys.serial == floor.serial and self.digest != floor.digest:
            message = f"another file has the serial {keys.serial} too: raise the serial, and sign it again"
            raise RegistrarsError(message)

    def floor(self, keys: ReviewerKeys) -> SerialFloor:
        """Return what the next file must exceed."""
        return SerialFloor(keys.serial, self.digest)

    def _signers(self, registrars: Registrars) -> frozenset[bytes]:
        """Return the registrars who signed, by their keys. Signatures of others are skipped."""
        found = set()
        known = {key.blob: key for key in registrars.keys}
        try:
            signed = self.text.encode()
        except UnicodeEncodeError as error:
            message = f"{REVIEWERS_ENTRY} has half a character"
            raise RegistrarsError(message) from error
        for signature in parse_signatures(self.signatures):
            key = known.get(signature.key.blob)
            if key is None:
                continue
            touched = signature.touch is None or signature.touch.flags & USER_PRESENT
            by_passkey = signature.assertion is not None
            if by_passkey or not touched or not verify(signature, key, REVIEWERS_NAMESPACE, signed):
                message = f"the signature of registrar {key.fingerprint} does not verify: sign the file again"
                raise RegistrarsError(message)
            found.add(key.material)
        return frozenset(found)


def parse_signatures(text: str) -> tuple[SshSignature, ...]:
    """Read armored signatures that follow each other. Raises `RegistrarsError`."""
    *blocks, rest = text.split(END)
    if rest.strip("\n") or not 0 < len(blocks) <= MOST_SIGNATURES or len(text) > MOST_SIGNATURE_CHARACTERS:
        message = (
            f"{SIGNATURES_ENTRY} must have 1 to {MOST_SIGNATURES} armored SSH signatures, with at most"
            f" {MOST_SIGNATURE_CHARACTERS} characters, and nothing else"
        )
        raise RegistrarsError(message)
    try:
        return tuple(parse_signature(block.lstrip("\n") + END) for block in blocks)
    except SignatureFormatError as error:
        message = f"{SIGNATURES_ENTRY}: {error}"
        raise RegistrarsError(message) from error


def parse_registrars(text: str) -> tuple[PublicKey, ...]:
    """Read registrars' keys: a line of a `.pub` file each; empty lines and comments are skipped.

    Raises `RegistrarsError` with the line.
    """
    found: list[PublicKey] = []
    for number, line in enumerate(text.split("\n"), start=1):
        # What another reader takes for the end of a line would hide a second key in one.
        if not (line.isascii() and line.isprintable()):
            message = f"line {number}: it has a character that is not printable ASCII"
            raise RegistrarsError(message)
        if not line.strip(" ") or line.startswith("#"):
            continue
        try:
            key = parse_key_line(line.strip(" "))
        except PublicKeyError as error:
            message = f"line {number}: {error}"
            raise RegistrarsError(message) from error
        if any(key.material == one.material for one in found):
            message = f"line {number}: this key is there twice"
            raise RegistrarsError(message)
        found.append(key)
    if not found:
        message = "there is no key"
        raise RegistrarsError(message)
    return tuple(found)


def make_registrars(text: str, quorum: int, origins: Iterable[str], installation: str) -> Registrars:
    """Return the registrars of a file, how many must sign, the origins of consoles, and the name of this installation.

    Raises `RegistrarsError`.
    """
    if not is_installation(installation):
        message = (
            "give this installation a name by --reviewers-installation: letters, digits, '-', '.' and '_', as in the"
            " line '# installation: NAME' of the file of reviewers' keys"
        )
        raise RegistrarsError(message)
    keys = parse_registrars(text)
    if not 1 <= quorum <= len(keys):
        message = f"a quorum of {quorum} needs as many keys, but the file has {len(keys)}"
        raise RegistrarsError(message)
    try:
        return Registrars(keys, quorum, frozenset(map(parse_passkey_origin, origins)), installation)
    except PasskeyOriginError as error:
        message = f"--passkey-origin: {error}"
        raise RegistrarsError(message) from error


@dataclass(frozen=True, slots=True)
class ReviewerTrust:
    """Whose keys count now. `keys` None: no signature counts, and `problem` says why."""

    keys: ReviewerKeys | None = None
    problem: str = "this installation has no registrars"
    origins: frozenset[str] | None = frozenset()


NO_REVIEWER_KEYS: Final = ReviewerTrust()


def judge_config_map(
    config_map: Mapping[str, Any] | None, registrars: Registrars, *floors: SerialFloor | None
) -> tuple[ReviewerTrust, SerialFloor | None]:
    """Return whose keys count by the ConfigMap as it is stored, and what its next file must exceed if they do.

    It must be at or above each of the floors; None is one that is not known.
    """
    try:
        file = ReviewerKeyFile.from_config_map(config_map)
        keys = file.judge(registrars, *floors)
    except RegistrarsError as error:
        return ReviewerTrust(problem=str(error), origins=registrars.origins), None
    return ReviewerTrust(keys, "", registrars.origins), file.floor(keys)
