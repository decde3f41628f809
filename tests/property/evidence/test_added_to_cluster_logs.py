"""The law of what strangers add to the files of an audit with a log of all clusters: it changes no verdict.

Neither does it hide what was cut, nor does it accuse an honest log. The verdict is that of `audit verify`; what is true
is what the test wrote before anything was added.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from bailiwick_cli.commands.audit.clusterlog import read_cluster_log
from bailiwick_cli.commands.audit.verification import trusted_book, verify_log
from bailiwick_cli.errors import CliError
from bailiwick_cli.options import Flags
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_cli.witnesses import book_of
from bailiwick_evidence.audit.claims import WitnessBook, checkpoints_of_objects
from bailiwick_evidence.base64text import decode_base64, encode_base64
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.note import SignatureType, VerifierKey, cosign_note, sign_note, split, verifier_key
from bailiwick_governance.views.verificationview import LogVerification
from support.evidence.logs import ProcessLog, private_key
from support.evidence.shardruns import KUBECTLS
from support.evidence.tilelogs import (
    EAST,
    EAST_KEY,
    LOG_KEY,
    OUTSIDE_KEY,
    WEST,
    WEST_KEY,
    log_files,
    process_log,
)

STRANGER: Final = private_key(90)
STRANGER_KEY: Final = verifier_key(EAST_KEY.name, SignatureType.COSIGNATURE, STRANGER)
HONEST: Final = [process_log(number).id for number in (2, 3, 4)]
DASH: Final = "\N{EM DASH}"
SLOW: Final = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Evidence(NamedTuple):
    """What an audit is given: lines and notes, and the entries of the log of all clusters. `now`: when it was made."""

    files: tuple[bytes, ...]
    notes: str
    entries: tuple[bytes, ...]
    now: int


def written(*, cut: bool, now: int) -> Evidence:
    """Return the evidence of two clusters. `cut`: the end of a log is gone, in the files and in its own cluster."""
    began = now - 1_700_000_000
    east, closed = process_log(2, seconds=began - 60).records(6), process_log(4, seconds=began - 90).records(3).close()
    west = process_log(3, seconds=began - 60).records(4)
    logged = [one.checkpoint(now=now, by=by) for one, by in ((east, EAST), (closed, EAST), (west, WEST))]
    shown = east.lines[:4] if cut else east.lines
    kept = east.checkpoint(len(shown), now=now - 5, by=EAST)
    files = b"".join([*shown, *closed.lines]), b"".join(west.lines)
    return Evidence(files, f"{kept}\n{west.checkpoint(now=now - 4, by=WEST)}", tuple(map(str.encode, logged)), now)


def verified(folder: Path, shown: Evidence) -> LogVerification:
    """Return what `audit verify` comes to."""
    for path, content in log_files(shown.entries, shown.now).items():
        (folder / "clusters" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "clusters" / path).write_bytes(content)
    names = []
    for number, content in enumerate(shown.files):
        names.append(str(folder / f"{number}.log"))
        Path(names[-1]).write_bytes(content)
    (folder / "kept.notes").write_text(shown.notes, encoding="utf-8", newline="")
    options = VerifyFlags(
        **KUBECTLS,
        files=names,
        checkpoints=[str(folder / "kept.notes")],
        witness_key=[f"east={EAST_KEY}", f"west={WEST_KEY}"],
        cluster_log=str(folder / "clusters"),
        cluster_log_key=str(LOG_KEY),
        cluster_log_witness=[str(OUTSIDE_KEY)],
    )
    book = trusted_book(options)
    logged = read_cluster_log(options, book)
    return verify_log(options, book, logged=logged)[1]


def junk_line(chance: random.Random, origin: str, keys: Sequence[VerifierKey]) -> str:
    """Return a line of a note that a stranger wrote, in the name of one of the keys, or in another one."""
    key = chance.choice(keys)
    name, key_id, size = chance.choice([(key.name, key.id, 72), (origin, bytes(4), 64), ("junk", b"", 8)])
    line = f"{DASH} {name} {encode_base64(key_id + chance.randbytes(size))}"
    return chance.choice([line, line, line.replace(" ", "\t"), f"{DASH} {name} !", "\t", "", line + "\r", "junk"])


def spoiled(chance: random.Random, note: str, *, in_log: bool = False) -> str:
    """Return a note to which a stranger added something, around the text, its lines and the signatures.

    `in_log`: it has no line in the name of another cluster's key, which only who holds the log's key can append.
    """
    text, signed = split(note)
    by = decode_base64(signed[-1].split()[-1]) or b""
    keys = [key for key in (EAST_KEY, WEST_KEY) if not in_log or by.startswith(key.id)]
    origin = text.split("\n")[0]
    before: list[str] = []
    behind = ["", *signed]
    for _ in range(chance.choice([1, 3, 80])):
        lines = chance.choice([before, behind, behind])
        lines.insert(chance.randint(0, len(lines)), junk_line(chance, origin, keys))
    if chance.random() < 0.3:
        fake = Checkpoint(origin, chance.randint(1, 99), chance.randbytes(32)).text().splitlines()
        lines = chance.choice([before, behind])
        at = chance.randint(0, len(lines))
        lines[at:at] = [*fake, ""]
    made = chance.choice(["\n", "\n", "\r\n", "\n\n", "\t\n"]).join([*before, *text.splitlines(), *behind])
    return made + chance.choice(["", "\n", "\n\n\n", "\0"])


def strange_note(chance: random.Random, true: Sequence[str], *, in_log: bool = False) -> str:
    """Return a note that a stranger cosigned, of a true log or of no one's, in the name of a witness or its own.

    `in_log`: it has no line in the name of a key that was given, which only who holds the log's key can append.
    """
    text, signed = split(chance.choice(true))
    if chance.random() < 0.5:
        said = Checkpoint.parse(text)
        text = Checkpoint(said.origin, said.size + chance.randint(-2, 50), chance.randbytes(32)).text()
    note = "\n".join([text, *signed, ""])
    if in_log or chance.random() < 0.5:
        note = sign_note(text, text.split("\n")[0], STRANGER)
    return cosign_note(note, chance.choice([EAST_KEY.name, "stranger"]), STRANGER, chance.randint(0, 2**33))


def brief_log(chance: random.Random, shown: Evidence) -> bytes:
    """Return the log of a process that no witness polled, which says what it likes of others."""
    named = json.loads(chance.choice(shown.files).splitlines()[0])["log"]["id"]
    before = {"id": named, "seq": chance.randint(0, 50), "head": "A" * 43}
    log: ProcessLog = process_log(chance.randint(100, 10**9), seconds=chance.choice([0, 10**6, 10**9]), previous=before)
    true = [one.decode() for one in shown.entries]
    for _ in range(chance.randint(0, 3)):
        note = strange_note(chance, true) if chance.random() < 0.5 else spoiled(chance, chance.choice(true))
        log.add(kind=chance.choice(["ledger", "checkpoint"]), note=note)
    return b"".join(log.close().lines)


def added_to(chance: random.Random, shown: Evidence) -> Evidence:
    """Return the evidence with what strangers added to it: to its files, its notes and its entries."""
    true = [one.decode() for one in shown.entries]
    files, notes, entries = [*shown.files], shown.notes, [*shown.entries]

    def add_entry() -> None:
        note = chance.choice(
            [strange_note(chance, true, in_log=True), spoiled(chance, chance.choice(true), in_log=True)]
        )
        made = note.encode()
        entries.insert(chance.randint(0, len(entries)), chance.choice([made, made, chance.randbytes(40), b""]))

    def spoil_entry() -> None:
        at = chance.randrange(len(shown.entries))
        entries[:] = [
            spoiled(chance, true[at], in_log=True).encode() if one == shown.entries[at] else one for one in entries
        ]

    def add_notes() -> None:
        nonlocal notes
        made = chance.choice([strange_note(chance, true), spoiled(chance, chance.choice(true)), "junk\t\n\n\n"])
        notes = chance.choice([f"{made}\n{notes}", f"{notes}\n{made}", notes.replace("\n", "\r\n")])

    def add_file() -> None:
        files.insert(chance.randint(0, len(files)), brief_log(chance, shown))

    moves: list[Callable[[], None]] = [add_entry, spoil_entry, add_notes, add_file]
    for _ in range(chance.randint(1, 5)):
        chance.choice(moves)()
    return Evidence(tuple(files), notes, tuple(entries), shown.now)


def verdict_with(folder: Path, seed: int, *, cut: bool) -> LogVerification:
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    # The clocks of witnesses may be a little ahead.
    true = written(cut=cut, now=int(time.time()) + chance.choice([0, 0, 60, 115]))
    return verified(folder, added_to(chance, true))


@given(st.integers(0, 2**40))
@SLOW
def test_nothing_that_strangers_add_accuses_an_honest_log(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    found = verdict_with(tmp_path_factory.mktemp("honest"), seed, cut=False)
    said = "\n".join("".join(text for text, _ in line) for line in found.lines())
    bad = {report.chain: [one.code.value for one in report.findings if one.bad] for report in found.reports}
    # Of a log that strangers wrote, no more is known than that no witness saw it.
    strange = [codes for chain, codes in bad.items() if chain not in HONEST and codes]
    assert all(codes == ["unknown"] for codes in strange), said
    assert not any(bad[chain] for chain in HONEST), said
    assert found.logged is not None
    assert (found.logged.findings, found.contradictions, found.incomplete) == ((), 0, False), said
    assert found.bad is bool(strange), said
    assert found.upto is not None
    assert max(found.upto, *(one.newest or 0 for one in found.logged.clusters)) <= time.time()


@given(st.integers(0, 2**40))
@SLOW
def test_nothing_that_strangers_add_hides_an_end_that_was_cut(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    found = verdict_with(tmp_path_factory.mktemp("cut"), seed, cut=True)
    bad = {report.chain: [one.code.value for one in report.findings if one.bad] for report in found.reports}
    assert found.bad
    assert "truncated" in bad[process_log(2).id]


ENTRY: Final = process_log(2).records(6).checkpoint(by=EAST)
CONFIG_MAP: Final = "---\napiVersion: v1\nkind: ConfigMap\ndata: {other: '— junk'}\n"


@pytest.mark.parametrize(
    "kept",
    [
        f"{ENTRY}{CONFIG_MAP}",
        f"{CONFIG_MAP}---\n{ENTRY}",
        json.dumps({"data": {"one": json.dumps({"checkpoint": ENTRY}) + "junk"}}),
        json.dumps({"data": {"one": json.dumps({"checkpoint": ENTRY})[:-1] + ',"checkpoint":"junk"}'}}),
        json.dumps({"data": {"one": "junk\n\n\n" + ENTRY, "two": "{"}}),
    ],
)
def test_what_is_added_to_kept_checkpoints_hides_none(tmp_path: Path, kept: str) -> None:
    (tmp_path / "kept").write_text(kept, encoding="utf-8")
    flags = Flags(**KUBECTLS)
    book = book_of([str(tmp_path / "kept")], [str(EAST_KEY)], flags)
    assert len(book.claims_of(process_log(2).id)) == 1


def kept_form(chance: random.Random, note: str) -> str:
    """Return a file of a note, as a job keeps it: the note, or a ConfigMap as `kubectl` prints it."""
    entry = json.dumps({"checkpoint": note, "pod": "one"}, ensure_ascii=chance.random() < 0.5)
    held = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"one": chance.choice([note, entry])}}
    forms = [
        lambda: note,
        lambda: json.dumps(held, ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 2])),
        lambda: yaml.safe_dump(held, allow_unicode=chance.random() < 0.5, sort_keys=False),
        lambda: yaml.safe_dump(held, default_style=chance.choice(['"', "|", "'"]), sort_keys=False),
        lambda: yaml.safe_dump({"items": [held], "apiVersion": "v1"}, width=chance.choice([20, 80, 10**6])),
    ]
    return chance.choice(forms)()


LINES: Final = ["# apiVersion:", "---", "...", "other:", "apiVersion: v1", "# junk", "", "  other:", "? x"]
WRAPS: Final = [
    {'{"checkpoint"': '{"x":{"checkpoint"', '"one"}': '"one"}}'},
    {'{"checkpoint"': ' {"checkpoint"'},
    {'{"checkpoint"': '{"checkpoint2"'},
    {'"data"': '"date"'},
    {"data:": "data:\nother:"},
    {"data:": "data:\n  x:"},
]
SIGNED: Final = (("bailiwick/", ENTRY.split("\n")[2]), (EAST_KEY.name, ENTRY.split()[-1]))
"""How the checkpoint and its cosignature begin and end."""


def _line_of(text: str, lines: Sequence[str]) -> int:
    return next(at for at, line in enumerate(lines) if text in line)


def surrounded(chance: random.Random, kept: str) -> str:
    """Return a kept file to which a stranger added lines, or members around what is in it."""
    for put in chance.sample(WRAPS, chance.randint(0, 2)):
        for before, after in put.items():
            # Inside a text in double quotes, each quote has a backslash.
            quoted = before.replace('"', '\\"'), after.replace('"', '\\"')
            kept = kept.replace(before, after, 1).replace(quoted[0], quoted[1], 1)
    lines = kept.split("\n")
    for _ in range(chance.randint(0, 3)):
        # A line inside of what was signed, or of its signature, would change that.
        inside = {at for begin, end in SIGNED for at in range(_line_of(begin, lines) + 1, _line_of(end, lines) + 1)}
        lines.insert(chance.choice(sorted({*range(len(lines) + 1)} - inside)), chance.choice(LINES))
    return "\n".join(lines)


@given(st.integers(0, 2**40))
@settings(SLOW, max_examples=150)
def test_what_is_put_around_kept_checkpoints_hides_none_of_them(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    file = tmp_path_factory.mktemp("kept") / "kept"
    kept = surrounded(chance, kept_form(chance, ENTRY))
    file.write_text(kept, encoding="utf-8")
    # What cannot be read is an error, and hides nothing.
    with suppress(CliError):
        book = book_of([str(file)], [str(EAST_KEY)], Flags(**KUBECTLS))
        assert len(book.claims_of(process_log(2).id)) == 1, kept


@pytest.mark.parametrize(
    "around",
    [
        lambda entry: '{"x":' + entry + "}",
        lambda entry: f" {entry}",
        lambda entry: f"[{entry}]",
        lambda entry: entry.replace('{"checkpoint', '{"checkpoint2'),
        lambda entry: '{"checkpoint": "junk", "x":' + entry + "}",
        lambda entry: entry.replace("\\n\\n", '\\n\\n","x":"', 1),
        lambda entry: json.dumps({"x": entry}),
    ],
    ids=["wrapped", "a space", "a list", "another name", "a text before it", "two members", "a text of JSON"],
)
def test_what_is_put_around_an_entry_of_the_witness_does_not_hide_it(around: Callable[[str], str]) -> None:
    for ascii_only in (False, True):
        entry = around(json.dumps({"checkpoint": ENTRY}, ensure_ascii=ascii_only))
        book = WitnessBook([EAST_KEY])
        for shown in checkpoints_of_objects({"data": {"one": entry}}):
            book.add(shown)
        assert len(book.claims_of(process_log(2).id)) == 1, entry


@pytest.mark.parametrize(
    "kept",
    [
        json.dumps({"data": {"one": ENTRY}})[:-1] + ',"data":{"two":"— junk"}}',
        f"apiVersion: v1\ndata: {json.dumps({'one': ENTRY})}\ndata: {{two: '— junk'}}\n",
    ],
)
def test_a_member_that_would_hide_another_of_its_name_is_refused(tmp_path: Path, kept: str) -> None:
    (tmp_path / "kept").write_text(kept, encoding="utf-8")
    with pytest.raises(CliError, match="two members of one name"):
        book_of([str(tmp_path / "kept")], [str(EAST_KEY)], Flags(**KUBECTLS))


def test_without_anything_added_the_one_is_intact_and_the_other_is_cut(tmp_path: Path) -> None:
    honest = verified(tmp_path, written(cut=False, now=int(time.time())))
    assert not honest.bad, [*honest.lines()]
    assert verified(tmp_path, written(cut=True, now=int(time.time()))).bad
