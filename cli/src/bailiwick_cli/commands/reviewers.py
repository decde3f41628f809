"""`reviewers`: a person's request to be enrolled, and the reviewers' file in the hands of registrars.

Holds: no file is changed unless all of the change was verified; a manifest is replaced in one step. Only `request`
without --reviewer needs a cluster.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bailiwick_cli import output
from bailiwick_cli.confirmation import confirm, has_terminal
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.registrarkeys import read_registrars
from bailiwick_cli.sshkeygen import public_key, sign as ssh_sign
from bailiwick_cli.verbs.reviewerverbs import (
    ReviewersAddFlags,
    ReviewersCheckFlags,
    ReviewersRemoveFlags,
    ReviewersRequestFlags,
    ReviewersSignFlags,
)
from bailiwick_engine.signatures.publickey import SK_ECDSA, SK_ED25519, PublicKeyError, parse_key_line
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars, RegistrarsError, ReviewerKeyFile
from bailiwick_engine.signatures.reviewerkeys import ReviewerKey
from bailiwick_engine.signatures.statement import ENROL_NAMESPACE, REVIEWERS_NAMESPACE
from bailiwick_governance.apiserver.people import who_am_i
from bailiwick_governance.arguments import STDIN, instant
from bailiwick_governance.display import Line, legible, talk
from bailiwick_governance.errors import UserError
from bailiwick_governance.lookalikes import warnings
from bailiwick_governance.signing.enrolment import enrolment_line, enrolment_message, parse_enrolment
from bailiwick_governance.signing.manifest import ReviewersManifest

KeyRow = tuple[str, str, str, str, str, str]

# Further in than any mark, so that what goes on looks like no line of its own.
_GOES_ON = " " * 6
_HEADERS = ("PERSON", "KEY", "FINGERPRINT", "COMMENT", "SIGNS", "COUNTS")


def request(options: ReviewersRequestFlags) -> int:
    """Print the line of a key and the proof that its person holds it."""
    text = public_key(options.key)
    try:
        key = parse_key_line(text)
    except PublicKeyError as error:
        raise CliError(f"--key: {error}") from error
    *_, comment = (*text.split(None, 2), "", "")[:3]
    line = enrolment_line(options.reviewer or _my_name(options), key, comment)
    talk(f"Tell the registrar the fingerprint of your key by another way: {key.fingerprint}")
    if key.type not in {SK_ED25519, SK_ECDSA}:
        talk("This key cannot verify its user: it counts for steps with `signature: Key` alone.")
    proof = ssh_sign(enrolment_message(line), ENROL_NAMESPACE, options.key)
    sys.stdout.write(str(parse_enrolment(f"{line}\n{proof}")))
    return Exit.OK


def _my_name(options: ReviewersRequestFlags) -> str:
    # With a name, nothing is asked of a cluster.
    from bailiwick_cli.kubeconfig import connect  # noqa: PLC0415

    return who_am_i(connect(options)).username


def add(options: ReviewersAddFlags) -> int:
    """Add the keys of requests to a manifest, which is made where there is none."""
    expires = None if options.expires is None else instant(options.expires, "--expires")
    after = None if options.valid_after is None else instant(options.valid_after, "--valid-after")
    file = Path(options.manifest)
    requests = [parse_enrolment(_read(one)) for one in options.requests or ()]
    if not requests and expires is None:
        raise CliError("there is nothing to add: name a request, or extend the file with --expires")
    if file.exists():
        manifest = _manifest_to_change(options)
    elif expires is None:
        raise CliError(f"there is no file {file}: to make it, say with --expires when it ends")
    else:
        if options.reviewers_installation is None:
            raise CliError(f"there is no file {file}: to make it, say with --reviewers-installation where it counts")
        manifest = ReviewersManifest.new(options.installation, expires, options.reviewers_installation)
    if options.reviewers_installation not in {None, manifest.keys.installation}:
        raise CliError(f"{file} is for installation {manifest.keys.installation}: make another file")
    changed = manifest.add(requests, after=after, expires=expires)
    for one in requests:
        talk(f"Before you sign, compare the fingerprint of the key with {one.key.principal}: {one.key.key.fingerprint}")
    return _replace(file, changed)


def remove(options: ReviewersRemoveFlags) -> int:
    """Remove keys from a manifest, or end them."""
    before = None if options.valid_before is None else instant(options.valid_before, "--valid-before")
    manifest = _manifest_to_change(options)
    return _replace(Path(options.manifest), manifest.remove(options.keys, before))


def _manifest_to_change(options: ReviewersAddFlags | ReviewersRemoveFlags) -> ReviewersManifest:
    """Read a manifest whose lines are kept. Raises `UserError` where anybody may have written them."""
    registrars = _registrars(options)
    if options.unsigned and registrars:
        raise CliError("--unsigned takes a file without valid signatures: leave --registrar-key out")
    manifest = _manifest(options.manifest)
    if not manifest.keys.entries:
        return manifest
    if not options.unsigned:
        if not registrars:
            raise CliError(
                "anybody can sign a file: say with --registrar-key who your registrars are; or read each line, and say"
                " --unsigned"
            )
        try:
            _check_signed(manifest, options.manifest, registrars)
        except UserError as error:
            raise CliError(f"{error}. Start from a signed file; or read each line, and say --unsigned") from error
    return manifest


def _registrars(options: ReviewersAddFlags | ReviewersRemoveFlags | ReviewersSignFlags) -> Registrars:
    """Return the registrars whose signatures a file needs, or none. Raises `CliError`."""
    if options.registrar_key:
        return read_registrars(options.registrar_key, options.registrar_quorum)
    if options.registrar_quorum is not None:
        raise CliError("--registrar-quorum needs --registrar-key: it counts the signatures of these registrars")
    return NO_REGISTRARS


def _check_signed(manifest: ReviewersManifest, name: str, registrars: Registrars) -> None:
    """Raise `UserError` where a manifest with keys is not signed by the registrars."""
    manifest.check_signed(name)
    if not manifest.keys.entries:
        return
    try:
        ReviewerKeyFile(manifest.text, manifest.signatures).judge(registrars)
    except RegistrarsError as error:
        raise CliError(f"{name}: {error}") from error


def _signers(manifest: ReviewersManifest) -> str:
    return ", ".join(one.key.fingerprint for one in manifest.fitting)


def sign(options: ReviewersSignFlags) -> int:
    """Show the file of a manifest and what changed in it, ask, and add a registrar's signature."""
    manifest = _manifest(options.manifest)
    before = _signed_before(options, manifest)
    if not options.yes and not has_terminal():
        raise CliError("without a terminal, confirm with --yes")
    until = _day(manifest.keys.expires)
    talk(
        f"You sign the reviewers' file of installation {manifest.keys.installation} with serial"
        f" {manifest.keys.serial}, which ends {until}, and these keys:"
    )
    _show_keys("  ", manifest, manifest.keys.entries)
    if before is not None:
        _show_changes(manifest, before)
    if not options.yes and not confirm("Sign this?"):
        talk("nothing was signed")
        return Exit.NO
    signed = manifest.sign(lambda message: ssh_sign(message, REVIEWERS_NAMESPACE, options.key))
    return _replace(Path(options.manifest), signed)


def _signed_before(options: ReviewersSignFlags, manifest: ReviewersManifest) -> ReviewersManifest | None:
    """Return the manifest that was signed last, or None for the first one. Raises `UserError`."""
    registrars = _registrars(options)
    if options.first == (options.since is not None):
        raise CliError(
            "say with --since which manifest was signed last, or with --first that none was and you have read each line"
        )
    if options.since is None:
        if registrars:
            raise CliError("--registrar-key needs --since: it is by these keys that the manifest was signed last")
        return None
    if not registrars:
        raise CliError("--since needs --registrar-key: anybody can sign a file, so say who your registrars are")
    return _older_manifest(options.since, manifest, registrars)


def _older_manifest(file: str, manifest: ReviewersManifest, registrars: Registrars) -> ReviewersManifest:
    """Read the manifest that was signed before. Raises `UserError` where it cannot be that."""
    before = _manifest(file)
    if before.keys.installation != manifest.keys.installation:
        raise CliError(
            f"--since: {file} is for installation {before.keys.installation},"
            f" and the manifest for {manifest.keys.installation}"
        )
    if before.keys.serial >= manifest.keys.serial:
        raise CliError(
            f"--since: {file} is not older: it has the serial {before.keys.serial},"
            f" and the manifest {manifest.keys.serial}"
        )
    _check_signed(before, file, registrars)
    return before


def _show_changes(manifest: ReviewersManifest, before: ReviewersManifest) -> None:
    """Show the lines that came and went, and another end of the file."""
    talk(f"Since the serial {before.keys.serial}, signed by {_signers(before) or 'no registrar'}:")
    now, then = set(manifest.keys.entries), set(before.keys.entries)
    _show_keys("- ", before, [one for one in before.keys.entries if one not in now])
    _show_keys("+ ", manifest, [one for one in manifest.keys.entries if one not in then])
    if now == then:
        talk("  no line came or went")
    if manifest.keys.expires != before.keys.expires:
        talk(f"  the file ended {_day(before.keys.expires)} before")


def _show_keys(mark: str, manifest: ReviewersManifest, keys: Iterable[ReviewerKey]) -> None:
    """Show these keys of a manifest, a line each."""
    rows = _rows(keys, manifest.keys.expires, time.time())
    output.write(key_lines(mark, rows, output.screen(sys.stderr)), sys.stderr)


def key_lines(mark: str, rows: Iterable[KeyRow], screen: os.terminal_size | None) -> Iterator[Line]:
    """Yield the lines of these keys. `screen`: of the terminal that they are for, whose width no line exceeds.

    The comment is the words of the person who asks to be enrolled, as long as they like.
    """
    for name, kind, key, comment, _, counts in rows:
        marks = "".join(f" [{warning}]" for warning in warnings(name))
        line = [(mark, ""), (f"{name}{marks}  {kind}  {key}  {comment}  {counts}", "")]
        yield from [line] if screen is None else output.fold(line, screen.columns, _GOES_ON)


def check(options: ReviewersCheckFlags) -> int:
    """Say whether the file of a manifest counts, and whose keys do until when."""
    registrars = read_registrars(
        options.registrar_key, options.registrar_quorum, installation=options.reviewers_installation
    )
    manifest = _manifest(options.manifest)
    now = time.time() if options.at is None else instant(options.at, "--at")
    problem = _problem(manifest, registrars, now)
    rows = list(_rows(manifest.keys.entries, manifest.keys.expires, now))
    if options.output is LogOutput.JSON:
        body = {
            "installation": manifest.keys.installation,
            "serial": manifest.keys.serial,
            "expires": _day(manifest.keys.expires),
            "counts": problem is None,
            **({} if problem is None else {"problem": problem}),
            "keys": [dict(zip(map(str.lower, _HEADERS), row, strict=True)) for row in rows],
        }
        sys.stdout.write(output.document(body, Output.JSON))
    else:
        output.Table(_HEADERS).add([_cells(row, counts=problem is None) for row in rows])
    if problem is not None:
        talk(f"The file does not count, and neither does any of these keys: {problem}")
        return Exit.NO
    talk(f"The file with serial {manifest.keys.serial} counts until {_day(manifest.keys.expires)}.")
    return Exit.OK


def _problem(manifest: ReviewersManifest, registrars: Registrars, now: float) -> str | None:
    try:
        ReviewerKeyFile(manifest.text, manifest.signatures).judge(registrars)
    except RegistrarsError as error:
        return str(error)
    return f"it expired {_day(manifest.keys.expires)}" if manifest.keys.expires <= now else None


def _rows(keys: Iterable[ReviewerKey], expires: float, now: float) -> Iterator[KeyRow]:
    """Yield the cells of each key: person, type, fingerprint, comment, for which steps, and until when."""
    for one in keys:
        signs = "Key, Required" if one.key.type in {SK_ED25519, SK_ECDSA} else "Key"
        yield (
            *(legible(one.principal), one.key.type, one.key.fingerprint, legible(one.comment) if one.comment else ""),
            *(signs, _time_clause(one, expires, now)),
        )


def _time_clause(key: ReviewerKey, expires: float, now: float) -> str:
    until = expires if key.before is None else min(key.before, expires)
    if key.after is not None and now < key.after:
        return f"from {_day(key.after)} until {_day(until)}"
    return f"ended {_day(until)}" if until <= now else f"until {_day(until)}"


def _cells(row: tuple[str, ...], *, counts: bool) -> Line:
    *first, last = row
    return [*((cell, "") for cell in first), (last if counts else f"no ({last})", "" if counts else "red")]


def _manifest(file: str) -> ReviewersManifest:
    return ReviewersManifest.parse(_read(file))


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CliError(f"{file} cannot be read: {type(error).__name__}") from error


def _replace(file: Path, manifest: ReviewersManifest) -> int:
    """Write a manifest in one step, and say what is next."""
    # What is written is read before anything is replaced.
    text = str(ReviewersManifest.parse(str(manifest)))
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
    signed = len(manifest.fitting)
    what = f"{signed} registrars have signed it." if signed else "No registrar has signed it yet: `reviewers sign`."
    talk(f"{file} has the serial {manifest.keys.serial}. {what}")
    return Exit.OK


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
