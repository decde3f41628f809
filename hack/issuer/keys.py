"""Keys and tokens of the issuer.

Standing: keys live in `<folder>/keys.json`, the one that signs first, each written whole, so that a server in another
process sees a rotation at its next request. `rotate` publishes the old keys on; `forget` does not.
"""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from joserfc import jwt
from joserfc.jwk import ECKey

from localcluster.files import write_secret

ALGORITHM: Final = "ES256"
_LIFE: Final = 3600


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as the issuer `url`."""

    folder: Path
    url: str

    @classmethod
    def at(cls, folder: Path, url: str) -> Self:
        """Take the keys in this folder, or make the first."""
        signer = cls(folder, url)
        if not signer._file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            signer.forget()
        return signer

    def token(
        self,
        subject: str,
        audience: str | Sequence[str],
        *,
        actors: Sequence[Mapping[str, str]] = (),
        seconds: int = _LIFE,
        header: Mapping[str, Any] | None = None,
        **claims: object,
    ) -> str:
        """Return a token for a person. `actors` act for them, the outermost first, each as {"sub", "iss"}."""
        now = int(time.time())
        payload: dict[str, Any] = {
            "iss": self.url,
            "sub": subject,
            "aud": audience if isinstance(audience, str) else list(audience),
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
            **acting(actors),
            **claims,
        }
        return self.sign(payload, header)

    def sign(self, payload: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """Sign exactly this payload; a member of `payload` or `header` that is None is left out."""
        key = self.keys()[0]
        head = {"alg": ALGORITHM, "kid": key.kid, "typ": "at+jwt", **(header or {})}
        return jwt.encode(_present(head), _present(payload), key, algorithms=[ALGORITHM])

    def keys(self) -> list[ECKey]:
        """Return the private keys, the one that signs first."""
        return [ECKey.import_key(entry) for entry in json.loads(self._file.read_text())]

    def jwks(self) -> dict[str, Any]:
        """Return what is published."""
        return {"keys": [key.as_dict(private=False, use="sig", alg=ALGORITHM) for key in self.keys()]}

    def rotate(self) -> str:
        """Sign with a new key from now on and publish the old ones still; return its kid."""
        return self._write([_new_key(), *self.keys()])

    def forget(self) -> str:
        """Sign with a new key and publish it alone, as after a theft; return its kid."""
        return self._write([_new_key()])

    def _write(self, keys: list[ECKey]) -> str:
        write_secret(self._file, json.dumps([key.as_dict(private=True) for key in keys]).encode())
        return str(keys[0].kid)

    @property
    def _file(self) -> Path:
        return self.folder / "keys.json"


def acting(actors: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the claim `act` (RFC 8693, 4.1) of these actors, the outermost first; nothing where there are none."""
    nested: dict[str, Any] = {}
    for actor in reversed(actors):
        nested = {"act": {**actor, **nested}}
    return nested


def _new_key() -> ECKey:
    return ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True)


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
