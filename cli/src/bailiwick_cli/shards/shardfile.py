"""The file of one shard: what it was made of, what all shards have alike, and what this one adds.

Standing: under the verbs that write one, and `audit merge`. Holds: shards are added up only if all of them are there,
each once, of one log, one command and one version; a file that was cut or changed is an error. A file is as good as the
process that wrote it: it has no signature.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from bailiwick_api import times
from bailiwick_cli.errors import CliError
from bailiwick_cli.options import OPTIONAL, Flags
from bailiwick_cli.verbs.shardflags import ShardFlags
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.chainshares import WHOLE, ChainShare
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_governance.arguments import STDIN
from bailiwick_governance.display import talk
from bailiwick_governance.records.logfiles import LogFiles

Part = TypeVar("Part")

_API: Final = "cli.bailiwick.dev/v1alpha1"
_KIND: Final = "LogShard"
_BEGINS: Final = f'{{"apiVersion":"{_API}","kind":"{_KIND}"'.encode()
_APART: Final = frozenset(
    {
        *OPTIONAL,
        "files",
        "modified_since",
        "output",
        "shard",
        "shards",
        "as_job",
        "image",
        "service_account",
        "env_from",
    }
)
"""Options that name the log, or say nothing of what it comes to. What was read is known by its digest."""


class LogShard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One line of JSON.

    `options`, `log` and `sha256` are digests: of the options with all files that they name, of the log, and of this
    very line with an empty `sha256`.
    """

    api_version: str
    kind: str
    verb: str
    versions: dict[str, str]
    shards: int
    shard: int
    options: str
    log: str
    whole: msgspec.Raw
    share: msgspec.Raw
    sha256: str

    def sealed(self) -> "LogShard":
        """Return it with its own digest."""
        empty = msgspec.structs.replace(self, sha256="")
        return msgspec.structs.replace(empty, sha256=hashlib.sha256(msgspec.json.encode(empty)).hexdigest())


class ShardSet(NamedTuple):
    """All shards of one log, by their numbers. `whole`: what they have alike, as JSON."""

    verb: str
    whole: bytes
    shares: tuple[bytes, ...]


def share_of(options: ShardFlags) -> ChainShare | None:
    """Return the share that the flags name; None: all of it, in this process. Raises `CliError`."""
    if options.image is not None or options.service_account is not None or options.env_from is not None:
        raise CliError("--image, --service-account and --env-from are for --as-job: remove them, or name the Job")
    if options.shards is None and options.shard is None:
        return None
    if options.shards is None or options.shard is None:
        raise CliError("set both --shards N and --shard I, with I from 0 to N-1")
    if options.shard >= options.shards:
        raise CliError(f"--shard {options.shard}: with --shards {options.shards}, set 0 to {options.shards - 1}")
    refuse_undivided(options)
    return ChainShare(options.shard, options.shards)


def refuse_undivided(options: ShardFlags) -> None:
    """Refuse what says nothing in a shard, or something else in each of them. Raises `CliError`."""
    if any(getattr(options, one.name) is not None for one in fields(options) if one.name.startswith("cluster_log")):
        raise CliError(
            "--cluster-log cannot be divided, since each shard would judge by another time how old it is: verify the"
            " cluster log without --shards"
        )
    if str(getattr(options, "output", "table")) != "table":
        raise CliError("a shard is always JSON: set -o on `audit merge`, which prints what all of them come to")
    since: str | None = getattr(options, "since", None)
    if since is not None and times.parse_time(since if "T" in since else f"{since}T00:00:00Z") is None:
        raise CliError(
            f"--since {since} is another moment in each shard: write a time in RFC 3339, such as 2026-03-01T00:00:00Z"
        )


def read_share(files: LogFiles, share: ChainShare | None, doing: str, writer: "ShardWriter | None") -> LogAudit:
    """Read files, and again while the share lacks chains, and return what was read last. Raises `UserError`."""
    share = WHOLE if share is None else share
    while True:
        audit = LogAudit(WitnessBook(()), share=share)
        for _ in files.lines(audit, doing):
            pass
        if writer is not None:
            writer.check(files)
        if not audit.lacking:
            return audit
        share = share.keeping(audit.lacking)


class ShardWriter:
    """Writes the shard of a command. `extra`: what it goes by beside its options, such as what a cluster answered.

    Made before anything is read, so that it sees the files that options name as they are then.
    """

    def __init__(self, options: ShardFlags, share: ChainShare, verb: str, extra: Iterable[bytes] = ()) -> None:
        self.share = share
        self._verb = verb
        self._options = _options_digest(options, extra)
        self._log: str | None = None

    def check(self, files: LogFiles) -> None:
        """Take what was read. Raises `CliError` where an earlier reading found something else."""
        if self._log not in {None, files.digest}:
            raise CliError(
                "the log changed while it was read: a shard needs a log that no process writes to. Copy it, or leave"
                " out the files that still grow"
            )
        self._log = files.digest

    def write(self, whole: object, share: object) -> None:
        """Print the shard: what all shards have alike, and what this one adds."""
        made = LogShard(
            _API,
            _KIND,
            self._verb,
            dict(engine_versions()),
            self.share.count,
            self.share.index,
            self._options,
            self._log or "",
            msgspec.Raw(msgspec.json.encode(whole)),
            msgspec.Raw(msgspec.json.encode(share)),
            "",
        )
        # Nothing is said after it: in the log of a pod, both are in one stream.
        talk(f"shard {self.share.index} of {self.share.count}: run `audit merge` with all of them")
        sys.stdout.write(msgspec.json.encode(made.sealed()).decode() + "\n")


def read_shards(names: Sequence[str]) -> ShardSet:
    """Read the files of all shards. Raises `CliError` unless each shard of one log is there once."""
    found = [(name, shard) for name in names for shard in _shards_of(name)]
    first_name, first = found[0]
    for name, one in found[1:]:
        if (what := _difference(one, first)) is not None:
            raise CliError(f"{name} and {first_name} cannot be added up: {what}")
    places: dict[int, str] = {}
    for name, one in found:
        if one.shard in places:
            raise CliError(f"shard {one.shard} is there twice: in {places[one.shard]} and in {name}")
        places[one.shard] = name
    if lacking := [str(number) for number in range(first.shards) if number not in places]:
        listed = ", ".join(lacking[:10]) + (f" and {len(lacking) - 10} more" if len(lacking) > 10 else "")  # noqa: PLR2004
        raise CliError(f"{len(lacking)} of {first.shards} shards are missing: {listed}. Without them nothing is known")
    shares = {one.shard: bytes(one.share) for _, one in found}
    return ShardSet(first.verb, bytes(first.whole), tuple(shares[number] for number in range(first.shards)))


def part_of(raw: bytes, kind: type[Part]) -> Part:
    """Read what a shard says. Raises `CliError`."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CliError(f"a shard holds something else than its command writes: {error}") from error


def refuse_other_chains(chains: Sequence[Sequence[str]], count: int) -> None:
    """Refuse shards unless each of so many chains is in its own one, once. `chains`: by shard. Raises `CliError`."""
    for index, names in enumerate(chains):
        share = ChainShare(index, len(chains))
        if len(set(names)) != len(names):
            raise CliError(f"shard {index} has a chain twice: run it again")
        for name in names:
            if not share.owns(name):
                raise CliError(f"shard {index} has chain {visible(name)}, which is another shard's: run all again")
    if (found := sum(map(len, chains))) != count:
        raise CliError(f"the log has {count} chains, and the shards have {found}: run them again")


def _shards_of(name: str) -> list[LogShard]:
    """Read a file. Lines that are not a shard's are passed over: the log of a pod has also what was said on stderr."""
    try:
        raw = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror or error}") from error
    lines = [line for line in raw.split(b"\n") if line.startswith(_BEGINS)]
    if not lines:
        raise CliError(f"{name} is no shard: give what a command with --shards printed")
    return [_parse(name, line) for line in lines]


def _parse(name: str, line: bytes) -> LogShard:
    try:
        found = msgspec.json.decode(line, type=LogShard)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CliError(f"{name}: the shard was cut, or another version wrote it: {error}") from error
    if found.sealed().sha256 != found.sha256 or not 0 <= found.shard < found.shards:
        raise CliError(f"{name}: the shard was changed after it was written: run it again")
    if found.versions != dict(engine_versions()):
        raise CliError(
            f"{name}: another version wrote the shard, {_spelled(found.versions)}, and this is"
            f" {_spelled(engine_versions())}: run all shards and the merge with one version"
        )
    return found


def _spelled(versions: Mapping[str, str]) -> str:
    return visible(", ".join(f"{name} {version}" for name, version in sorted(versions.items())))


def _difference(one: LogShard, other: LogShard) -> str | None:
    """Say why two shards are not of one whole; None: they are."""
    if one.verb != other.verb:
        return f"one is of `{one.verb}`, and one of `{other.verb}`"
    if one.shards != other.shards:
        return f"one is of {one.shards} shards, and one of {other.shards}"
    if one.options != other.options:
        return "their options differ, or the files that these name"
    if one.log != other.log:
        return "they did not read the same log: the files, their order or their content differ"
    if bytes(one.whole) != bytes(other.whole):
        return "what they say of the whole log differs, though it is the same log: run all of them again"
    return None


def _options_digest(options: Flags, extra: Iterable[bytes]) -> str:
    """Return the SHA-256 of options, with the content of the files that they name."""
    made = hashlib.sha256()
    for field in fields(options):
        if field.name in _APART:
            continue
        value = getattr(options, field.name)
        for one in value if isinstance(value, list) else [value]:
            text = str(one.value if isinstance(one, Enum) else one)
            made.update(_length_prefixed(field.name.encode(), text.encode(errors="surrogateescape")))
            for content in _contents(text) if isinstance(one, str) else ():
                made.update(_length_prefixed(content))
    for content in extra:
        made.update(_length_prefixed(b"extra", content))
    return made.hexdigest()


def _contents(text: str) -> Iterable[bytes]:
    """Yield the names and the contents of the file or folder that a text may name."""
    try:
        path = Path(text)
        if path.is_file():
            yield hashlib.sha256(path.read_bytes()).digest()
        elif path.is_dir():
            for one in sorted(path.rglob("*")):
                if one.is_file():
                    yield str(one.relative_to(path)).encode(errors="surrogateescape")
                    yield hashlib.sha256(one.read_bytes()).digest()
    except (OSError, ValueError):
        # What needs the file will say so.
        return


def _length_prefixed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8) + part for part in parts)


def book_state(book: WitnessBook) -> bytes:
    """Return what a book of checkpoints holds, as bytes that are equal for equal books."""
    claims: Mapping[str, object] = {chain: book.claims_of(chain) for chain in sorted(book.chains)}
    state = [claims, book.contradictions, book.strangers, book.refused, book.unread, book.quorum]
    state += [[[str(key), book.clusters.get(key)] for key in book.keys]]
    return msgspec.json.encode(state, order="deterministic")
