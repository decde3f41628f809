"""The keys of registrars, from the files that flags name.

Standing: beside `output`. Holds: what is wrong with a file is an error that names it; without a file there are no
registrars, and nothing is judged by them.
"""

from pathlib import Path

from bailiwick_cli.errors import CliError
from bailiwick_engine.signatures.passkeyorigins import PasskeyOriginError, parse_passkey_origin
from bailiwick_engine.signatures.publickey import PublicKey
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars, RegistrarsError, parse_registrars


def registrars_of(
    file: str | None, quorum: int | None, origins: list[str] | None, installation: str | None
) -> Registrars:
    """Return the registrars of a file, or none. For the others see `read_registrars`. Raises `CliError`."""
    if file is not None:
        return read_registrars([file], quorum, origins, installation)
    require_registrars("--registrar-keys", origins, installation)
    return NO_REGISTRARS


def require_registrars(flag: str, origins: list[str] | None, installation: str | None) -> None:
    """Refuse what means nothing where there are no registrars. `flag`: what names their keys. Raises `CliError`."""
    if origins:
        raise CliError(f"--passkey-origin needs {flag}: registrars enrol the passkeys of reviewers")
    if installation is not None:
        raise CliError(f"--reviewers-installation needs {flag}: it is compared with what registrars signed")


def quorum_of(keys: int, asked: int | None) -> int:
    """Return how many of so many registrars must sign. Raises `CliError`.

    Of several there is no default: the cluster may ask for more than one, and a file that fewer signed never counted.
    """
    if asked is None and keys > 1:
        raise CliError(f"there are keys of {keys} registrars: say with --registrar-quorum how many must sign")
    if asked is not None and asked > max(keys, 1):
        raise CliError(f"--registrar-quorum {asked}: there are keys of {keys} registrars; give more")
    return asked or 1


def read_registrars(
    files: list[str], quorum: int | None, origins: list[str] | None = None, installation: str | None = None
) -> Registrars:
    """Return the registrars of all files. Without `origins`, passkeys are judged by the RP id that they are for.

    `installation`: whose file of reviewers' keys counts; None: that of any. Raises `CliError`.
    """
    keys = _keys(files)
    most = quorum_of(len(keys), quorum)
    try:
        known = frozenset(map(parse_passkey_origin, origins)) if origins else None
    except PasskeyOriginError as error:
        raise CliError(f"--passkey-origin: {error}") from error
    return Registrars(keys, most, known, installation)


def _keys(files: list[str]) -> tuple[PublicKey, ...]:
    """Return the keys of all files. A key is in one of them, once."""
    homes: dict[bytes, str] = {}
    found: list[PublicKey] = []
    for file in files:
        try:
            keys = parse_registrars(_text(file))
        except RegistrarsError as error:
            raise CliError(f"the registrars' keys of {file}: {error}") from error
        for key in keys:
            if key.material in homes:
                raise CliError(f"the registrars' keys of {file}: this key is in {homes[key.material]} too")
            homes[key.material] = file
        found += keys
    return tuple(found)


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CliError(f"{file} cannot be read: {type(error).__name__}") from error
