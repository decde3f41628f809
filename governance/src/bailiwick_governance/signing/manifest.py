"""The reviewers' file as a registrar keeps it in Git: the manifest of a ConfigMap, its serial, and its signatures.

Holds: pure. Each change of the file raises the serial and drops what was signed before; what is returned was read again
by what reads it in the cluster.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from bailiwick_api.accounts import REVIEWERS_CONFIG_MAP
from bailiwick_engine.signatures.registrars import (
    REVIEWERS_ENTRY,
    SIGNATURES_ENTRY,
    RegistrarsError,
    parse_signatures,
)
from bailiwick_engine.signatures.reviewerkeys import ReviewerKeys, ReviewerKeysError, parse_reviewer_keys
from bailiwick_engine.signatures.sshsig import SshSignature, parse_signature, verify, write_signature
from bailiwick_engine.signatures.statement import REVIEW_NAMESPACE, REVIEWERS_NAMESPACE
from bailiwick_governance.errors import UserError
from bailiwick_governance.signing.enrolment import EnrolmentRequest, read_line

_SERIAL: Final = "# serial: "
_EXPIRES: Final = "# expires: "
_INSTALLATION: Final = "# installation: "
_HEAD: Final = 3
_BEFORE: Final = re.compile(r',valid-before="[^"]*"|valid-before="[^"]*",')
_NAMESPACES: Final = f'namespaces="{REVIEW_NAMESPACE}"'


class _LiteralDumper(yaml.SafeDumper):
    """Writes a text of several lines as these lines."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Represent a string."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_LiteralDumper.add_representer(str, _LiteralDumper.represent_text)


@dataclass(frozen=True, slots=True)
class ReviewersManifest:
    """A manifest. `text` is the file, `signatures` what registrars signed of it, `keys` what the file says."""

    document: Mapping[str, Any]
    text: str
    signatures: str
    keys: ReviewerKeys

    @classmethod
    def new(cls, namespace: str, expires: float, installation: str) -> "ReviewersManifest":
        """Return one without any key, before its first change.

        `expires`: seconds since the epoch. `installation`: where alone it counts. Raises `UserError`.
        """
        metadata = {"name": REVIEWERS_CONFIG_MAP, "namespace": namespace}
        text = f"{_SERIAL}1\n{_EXPIRES}{_rfc3339(expires)}\n{_INSTALLATION}{installation}\n"
        return cls({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, text, "", _read_keys(text))

    @classmethod
    def parse(cls, text: str) -> "ReviewersManifest":
        """Read one. Raises `UserError`."""
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"the manifest is no YAML: {' '.join(str(error).split())}") from error
        data = document.get("data") if _is_ours(document) else None
        file = data.get(REVIEWERS_ENTRY) if isinstance(data, dict) else None
        signatures = data.get(SIGNATURES_ENTRY, "") if isinstance(data, dict) else ""
        if not isinstance(file, str) or not isinstance(signatures, str):
            raise UserError(
                f"the manifest must be the ConfigMap {REVIEWERS_CONFIG_MAP} (v1) with an entry {REVIEWERS_ENTRY}"
            )
        return cls(document, file, signatures, _read_keys(file))

    def __str__(self) -> str:
        """Write it as YAML."""
        data = {REVIEWERS_ENTRY: self.text, SIGNATURES_ENTRY: self.signatures}
        document = {**self.document, "data": {**(self.document.get("data") or {}), **data}}
        return yaml.dump(document, Dumper=_LiteralDumper, sort_keys=False, allow_unicode=True, width=10_000)

    def add(
        self, requests: Iterable[EnrolmentRequest], *, after: float | None = None, expires: float | None = None
    ) -> "ReviewersManifest":
        """Add the lines of requests. `after`: from when their keys count. Raises `UserError`."""
        option = "" if after is None else f',valid-after="{_ssh_time(after)}"'
        lines = [one.line.replace(_NAMESPACES, _NAMESPACES + option, 1) for one in requests]
        return self._change([*self._lines, *lines], expires)

    def remove(self, fingerprints: Sequence[str], before: float | None = None) -> "ReviewersManifest":
        """Remove keys; with `before`, keep their lines and end them then. Raises `UserError`."""
        known = {one.key.fingerprint for one in self.keys.entries}
        if unknown := [one for one in fingerprints if one not in known]:
            raise UserError(f"the file has no key {unknown[0]}")

        def change(line: str) -> str | None:
            if not line.strip() or line.startswith("#") or read_line(line).key.fingerprint not in fingerprints:
                return line
            if before is None:
                return None
            return _BEFORE.sub("", line, count=1).replace(
                _NAMESPACES, f'{_NAMESPACES},valid-before="{_ssh_time(before)}"', 1
            )

        return self._change([changed for line in self._lines if (changed := change(line)) is not None], None)

    def sign(self, signing: Callable[[bytes], str]) -> "ReviewersManifest":
        """Add a signature that `signing` returns of the file. Raises `UserError` where it is no signature of it."""
        text = signing(self.text.encode())
        try:
            mine = parse_signature(text)
        except ValueError as error:
            raise UserError(f"the signature cannot be used: {error}") from error
        if not self._fits(mine):
            raise UserError("the signature does not verify: nothing was added")
        kept = [one for one in self.fitting if one.key.material != mine.key.material]
        return ReviewersManifest(
            self.document, self.text, "".join(write_signature(one) for one in (*kept, mine)), self.keys
        )

    @property
    def fitting(self) -> tuple[SshSignature, ...]:
        """The signatures that are over this file, whose keys are anybody's."""
        try:
            return tuple(one for one in parse_signatures(self.signatures) if self._fits(one))
        except RegistrarsError:
            return ()

    def check_signed(self, name: str) -> None:
        """Raise `UserError` where the file, which is called so, has keys and no signature fits it."""
        if self.keys.entries and not self.fitting:
            raise UserError(f"{name}: no signature fits its lines, so anybody may have written them")

    def _fits(self, signature: SshSignature) -> bool:
        return verify(signature, signature.key, REVIEWERS_NAMESPACE, self.text.encode())

    @property
    def _lines(self) -> list[str]:
        return self.text.removesuffix("\n").split("\n")[_HEAD:]

    def _change(self, lines: Sequence[str], expires: float | None) -> "ReviewersManifest":
        until = _rfc3339(self.keys.expires if expires is None else expires)
        head = (
            f"{_SERIAL}{self.keys.serial + 1}",
            f"{_EXPIRES}{until}",
            f"{_INSTALLATION}{self.keys.installation}",
        )
        text = "\n".join((*head, *lines, ""))
        return ReviewersManifest(self.document, text, "", _read_keys(text))


def _is_ours(document: object) -> bool:
    """Tell whether a document is the ConfigMap, wherever it is."""
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != ("v1", "ConfigMap"):
        return False
    metadata = document.get("metadata")
    return isinstance(metadata, dict) and metadata.get("name") == REVIEWERS_CONFIG_MAP


def _read_keys(text: str) -> ReviewerKeys:
    try:
        return parse_reviewer_keys(text)
    except ReviewerKeysError as error:
        raise UserError(f"the reviewers' file: {error}") from error


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ssh_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%SZ")
