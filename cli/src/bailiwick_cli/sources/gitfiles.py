"""Files as a Git revision holds them, by git itself.

Standing: beside `policies`; the one that runs git. Holds: only the hooks-free plumbing is used, nothing is checked out;
a name that git could take for an option is refused; a link is never followed, and what it or a submodule may lead to
is never passed over.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bailiwick_api.documents import policyfiles
from bailiwick_api.documents.policyfiles import MAX_FILES, File
from bailiwick_cli.errors import CliError
from bailiwick_governance.sources.unreadfiles import is_applied_alone, refuse_unread

_LINK: Final = "120000"
_SUBMODULE: Final = "160000"
_TIMEOUT: Final = 60.0


def files_at(revision: str, name: str) -> list[tuple[str, File]]:
    """Return the file, or the files of the folder, of this name at a revision; none if it did not exist there.

    Raises `CliError`.
    """
    path = Path(name)
    folder, wanted = (path, ".") if path.is_dir() else (path.parent, path.name)
    commit = _git(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", what=revision
    )
    listing = _git(folder, "ls-tree", "-r", "-z", commit.decode().strip(), "--", wanted, what=revision)
    named: list[tuple[str, str, str]] = []
    unread: list[tuple[str, str]] = []
    for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
        about, tab, found = entry.partition("\t")
        if not tab:
            continue
        mode, _, digest = about.split(" ")
        label = f"{revision}:{folder / found}"
        if mode == _SUBMODULE:
            raise CliError(f"{label} is a submodule, which is not read in a revision: compare checkouts of both sides")
        if wanted != "." or policyfiles.is_read(found):
            named.append((label, mode, digest))
        elif mode == _LINK:
            # It may lead to a folder, which the files of a checkout would be read from.
            raise CliError(f"{label} is a link, which is not followed in a revision: name what it leads to instead")
        elif is_applied_alone(found):
            unread.append((label, digest))
    if len(named) > MAX_FILES:
        raise CliError(f"{name} has more than {MAX_FILES} files at {revision}")
    for (label, _), content in zip(unread, _contents(folder, [digest for _, digest in unread]), strict=True):
        refuse_unread(label, content)
    texts = iter(_contents(folder, [digest for _, mode, digest in named if mode != _LINK]))
    linked = File("unreadable: a link", unreadable="a link, which is not followed in a revision")
    return [(label, linked if mode == _LINK else policyfiles.policy_file(next(texts))) for label, mode, _ in named]


def _contents(folder: Path, digests: Sequence[str]) -> list[bytes]:
    """Return what `git show` prints of each object, of all by one process."""
    if not digests:
        return []
    said = _git(folder, "cat-file", "--batch", given="\n".join(digests).encode() + b"\n", what="the objects")
    found: list[bytes] = []
    at = 0
    for _ in digests:
        end = said.index(b"\n", at)
        size = int(said[at:end].split(b" ")[2])
        found.append(said[end + 1 : end + 1 + size])
        at = end + size + 2
    return found


def _git(folder: Path, *words: str, what: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - our own words; a revision stands behind --end-of-options
            ["git", *words],  # noqa: S607 - the user's own git
            cwd=folder,
            input=given,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except OSError as error:
        raise CliError(f"git cannot be run in {folder}: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise CliError(f"git took longer than {_TIMEOUT:.0f} s in {folder}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise CliError(f"git cannot read {what!r} in {folder}: {said[-1] if said else 'no such revision'}")
    return done.stdout
