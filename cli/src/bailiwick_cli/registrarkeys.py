"""The keys of registrars, from the files that flags name.

Standing: beside `output`. Holds: what is wrong with a file is an error that names it; without a file there are no
registrars, and nothing is judged by them.
"""

from pathlib import Path

from bailiwick_cli.errors import CliError
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars, RegistrarsError, parse_registrars


def registrars_of(file: str | None, quorum: int | None) -> Registrars:
    """Return the registrars of a file, or none. Raises `CliError`."""
    return NO_REGISTRARS if file is None else read_registrars([file], quorum)


def quorum_of(keys: int, asked: int | None) -> int:
    """Return how many of so many registrars must sign. Raises `CliError`.

    Of several there is no default: the cluster may ask for more than one, and a file that fewer signed never counted.
    """
    if asked is None and keys > 1:
        raise CliError(f"there are keys of {keys} registrars: say with --registrar-quorum how many must sign")
    if asked is not None and asked > max(keys, 1):
        raise CliError(f"--registrar-quorum {asked}: there are keys of {keys} registrars; give more")
    return asked or 1


def read_registrars(files: list[str], quorum: int | None, installation: str | None = None) -> Registrars:
    """Return the registrars of all files. A passkey is judged by the RP id that it was enrolled for.

    Raises `CliError`.
    """
    try:
        keys = parse_registrars("\n".join(_text(file) for file in files))
    except RegistrarsError as error:
        raise CliError(f"the registrars' keys of {', '.join(files)}: {error}") from error
    return Registrars(keys, quorum_of(len(keys), quorum), None, installation)


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CliError(f"{file} cannot be read: {type(error).__name__}") from error
