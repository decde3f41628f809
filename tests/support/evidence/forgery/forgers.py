"""What an attacker does to logs who holds all files, keys of their own, and perhaps the key of one decision point.

Standing: under `games`, over `histories`. Holds: no move has the key of the witness, of the operator's log, or of a
decision point that was not taken; everything else may be done to any line, chain or note, in any order.
"""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bailiwick_evidence.chain import ChainWriter, body, link
from bailiwick_evidence.note import SignatureType, cosign_note, sign_note, split, verifier_key
from support.evidence.forgery.histories import History, Log, junk_line, text_of
from support.evidence.logs import BEGAN, INSTALLATION, WITNESS_KEY, WITNESS_NAME, moment, private_key, written

_OWN: Final = private_key(66)
_AIMED: Final = 0.6
_OPEN: Final = b'"kind":"open"'
_HISTORY: Final = b'"history":['
_ADDED: Final = b'"added":true'
_NUMBERS: Final = {
    name: re.compile(rb'("%b":)([0-9]+)(?=,"(?:count|sum|added)")' % name.encode()) for name in ("seq", "count", "age")
}
_SPELLINGS: Final[list[Callable[[bytes], bytes]]] = [
    lambda line: line.replace(b"},", b"} ,", 1),
    lambda line: line.replace(b'"seq":', b'"seq": ', 1),
    lambda line: line.replace(b',"prev"', b'.0,"prev"', 1),
    lambda line: line.replace(b'"},', b'","x":1},', 1),
    lambda line: b" " + line,
    lambda line: b'{"x":1,' + line[1:],
    lambda line: line[:-1] + b" \n",
    lambda line: line[:-1] + b"{}\n",
    lambda line: line[:-2] + b',"x":NaN}\n',
    lambda line: line[:-2] + b',"x":"{\x01"}\n',
    lambda line: line[: line.find(b"},") + 1] + b"}\n",
]


@dataclass
class Forger:
    """What is shown to the auditor, as it stands. `target`: what most moves are aimed at. `told`: the moves made."""

    history: History
    chance: random.Random
    files: list[list[bytes]]
    notes: list[str]
    target: Log
    told: list[str] = field(default_factory=list)
    number: int = 5_000

    def play(self, most: int) -> None:
        """Make some moves."""
        for _ in range(self.chance.randint(1, most)):
            move = self.chance.choices(MOVES, WEIGHTS)[0]
            self.told.append(move.__name__)
            move(self)

    def file(self) -> list[bytes]:
        """Return a file that has a line, or an empty one."""
        full = [file for file in self.files if file]
        return self.chance.choice(full) if full else []

    def counted(self, part: bytes = _ADDED) -> tuple[list[bytes], list[int]]:
        """Return a file, and where it has lines of calls that were counted, or lines with another part."""
        file = self.file()
        return file, [at for at, line in enumerate(file) if part in line and link(line) is not None]

    def log(self) -> Log:
        """Return a true log."""
        if self.chance.random() < _AIMED:
            return self.target
        return self.chance.choice([log for file in self.history.files for log in file])

    def lines_of(self, chain: str) -> list[bytes]:
        """Return what is shown of a chain."""
        return [line for file in self.files for line in file if (one := link(line)) is not None and one.id == chain]

    def known_notes(self) -> list[str]:
        """Return each note that a file ever held."""
        return [one.note for log in self.history.logs.values() for one in log.cosignatures]


def forger(history: History, chance: random.Random) -> Forger:
    """Return one who has done nothing yet: all files as they are, and the checkpoints that the witness stores."""
    files = [[line for log in file for line in log.lines] for file in history.files]
    points = [log for log in history.logs.values() if log.cosignatures and not log.operator]
    target = chance.choice([*history.logs.values()])
    return Forger(history, chance, files, [log.cosignatures[-1].note for log in points], target)


def cut(one: Forger) -> None:
    """Cut lines from the end of a file."""
    file = one.file()
    del file[one.chance.randint(0, len(file)) :]


def cut_to_checkpoint(one: Forger) -> None:
    """Cut a log to what the witness saw of it earlier, and show no later note."""
    log = one.log()
    if not log.cosignatures:
        return
    seen = one.chance.choice(log.cosignatures)
    later = {other.note for other in log.cosignatures if other.size > seen.size}
    one.notes[:] = [*(note for note in one.notes if note not in later), seen.note]
    for file in one.files:
        file[:] = [line for line in file if (at := link(line)) is None or at.id != log.id or at.seq < seen.size]


def set_back(one: Forger) -> None:
    """Show everything as it was at an earlier time."""
    until = BEGAN + 10 * one.chance.randint(1, 7)
    for index, file in enumerate(one.history.files):
        if index < len(one.files) and one.chance.random() < 0.8:
            kept = []
            for log in file:
                sizes = [seen.size for seen in log.cosignatures if seen.time <= until]
                kept += log.lines[: max(sizes, default=0)]
            one.files[index] = kept
    notes = [seen.note for log in one.history.logs.values() for seen in log.cosignatures if seen.time <= until]
    one.notes[:] = [note for note in notes if one.chance.random() < 0.9]


def take_out(one: Forger) -> None:
    """Take lines out of the middle."""
    file = one.file()
    if file:
        start = one.chance.randrange(len(file))
        del file[start : start + one.chance.randint(1, 4)]


def edit(one: Forger) -> None:
    """Change a line and nothing else."""
    file = one.file()
    if file:
        at = one.chance.randrange(len(file))
        file[at] = _edited(file[at], one.chance)


def edit_anew(one: Forger) -> None:
    """Change a line, and make all hashes anew behind it."""
    file = one.file()
    if file:
        at = one.chance.randrange(len(file))
        chain = link(file[at])
        file[at] = _edited(file[at], one.chance)
        if chain is not None:
            _chained(file, chain.id)


def another_key(one: Forger) -> None:
    """Put a key of one's own, or another component, in the first line of a chain, and make all hashes anew."""
    file = one.file()
    for at, line in enumerate(file):
        place = link(line)
        if place is None or _OPEN not in line or one.chance.random() < 0.5:
            continue
        members = _members(line)
        if members is None:
            continue
        origin = f"bailiwick/{INSTALLATION}/{place.id}"
        what = one.chance.randrange(4)
        if what < 2:
            members["key"] = str(verifier_key(origin, SignatureType.ED25519, _OWN))
        elif what == 2:
            members["component"] = one.chance.choice(["operator", "webhook"])
        else:
            members.pop("key", None)
        file[at] = line[: line.index(b"},") + 2] + written(members)[1:]
        if one.chance.random() < 0.7:
            _chained(file, place.id)
        note = text_of(origin, one.lines_of(place.id))
        if one.chance.random() < 0.5:
            one.notes.append(sign_note(note, origin, _OWN))
        return


def swap(one: Forger) -> None:
    """Change the order of lines, or that of files."""
    file = one.file()
    if len(file) > 1:
        first, second = one.chance.sample(range(len(file)), 2)
        file[first], file[second] = file[second], file[first]
    if one.chance.random() < 0.3:
        one.chance.shuffle(one.files)


def renumber(one: Forger) -> None:
    """Exchange the numbers of two lines, or give one another number."""
    file = one.file()
    if not file:
        return
    at = one.chance.randrange(len(file))
    place = link(file[at])
    if place is None:
        return
    other = one.chance.randrange(len(file) + 2)
    file[at] = file[at].replace(b'"seq":%d,' % place.seq, b'"seq":%d,' % other, 1)
    if one.chance.random() < 0.5:
        _chained(file, place.id)


def repeat(one: Forger) -> None:
    """Copy lines of a file, or true lines that are gone, to another place."""
    source = one.file() if one.chance.random() < 0.5 else [*one.log().lines]
    if source:
        start = one.chance.randrange(len(source))
        target = one.chance.choice(one.files) if one.files else []
        at = one.chance.randint(0, len(target))
        target[at:at] = source[start : start + one.chance.randint(1, 6)]


def merge(one: Forger) -> None:
    """Put two files in one, mixed or one after the other."""
    if len(one.files) > 1:
        first, second = one.chance.sample(range(len(one.files)), 2)
        whole = [*one.files[first], *one.files[second]]
        if one.chance.random() < 0.3:
            one.chance.shuffle(whole)
        one.files[first] = whole
        del one.files[second]


def splice(one: Forger) -> None:
    """Put lines of one chain at the end, or in place, of lines of another, with its hashes."""
    first, second = one.log(), one.log()
    shown = one.lines_of(first.id)
    if not shown:
        return
    at = one.chance.randint(0, len(shown))
    story = [*shown[:at], *second.lines[one.chance.randint(0, len(second.lines)) :]]
    _replace(one, first.id, _rewritten(story, first.id))


def drop(one: Forger) -> None:
    """Drop a file."""
    if one.files:
        one.files.pop(one.chance.randrange(len(one.files)))


def drop_log(one: Forger) -> None:
    """Drop all lines of a log, and perhaps each note of it."""
    log = one.log()
    _replace(one, log.id, [])
    if one.chance.random() < 0.6:
        one.notes[:] = [note for note in one.notes if not note.startswith(log.origin)]


def drop_notes(one: Forger) -> None:
    """Show fewer notes, or earlier ones."""
    one.notes[:] = [note for note in one.notes if one.chance.random() < 0.5]
    if one.chance.random() < 0.5:
        one.notes += one.chance.sample(one.known_notes(), k=min(3, len(one.known_notes())))


def add_lines(one: Forger) -> None:
    """Go on in a log as if its process had."""
    file = one.file()
    if not file or (place := link(file[-1])) is None:
        return
    lines = one.lines_of(place.id)
    for _ in range(one.chance.randint(1, 3)):
        lines.append(_fresh(one, place.id))
    _replace(one, place.id, _rewritten(lines, place.id))


def forge_log(one: Forger) -> None:
    """Invent a log, of a decision point or of the operator, which may name another and tell of others."""
    one.number += 1
    log = Log(one.number, operator=one.chance.random() < 0.3)
    seconds = one.chance.randint(0, 60)
    before = one.file() if one.chance.random() < 0.5 else []
    log.begin(seconds, before if before and link(before[-1]) is not None else None)
    for _ in range(one.chance.choice([0, 0, 1, 2, 5, 9])):
        seconds += one.chance.choice([0, 1, 1, 10])
        if one.chance.random() < 0.3:
            log.add(seconds, "ledger", note=_note(one))
        else:
            log.records(seconds, 1, one.chance)
    if one.chance.random() < 0.5:
        log.close(seconds)
    if one.files and one.chance.random() < 0.5:
        one.chance.choice(one.files).extend(log.lines)
    else:
        one.files.append(log.lines)
    if one.chance.random() < 0.5:
        one.notes.append(sign_note(text_of(log.origin, log.lines), log.origin, log.key))


def show_prepared(one: Forger) -> None:
    """Show a log that was forged before, which lines of a captive process may name."""
    one.files.append([*one.chance.choice(one.history.forged).lines])


def forge_again(one: Forger) -> None:
    """Put an invented log of the same id in the place of a true one, and perhaps one that names its last line."""
    log = one.log()
    forged = Log(log.number, operator=log.operator)
    forged.key = _OWN
    seconds = one.chance.randint(0, 30)
    forged.begin(seconds)
    for _ in range(one.chance.randint(1, 8)):
        seconds += one.chance.choice([0, 1, 9])
        forged.records(seconds, 1, one.chance)
    _replace(one, log.id, forged.lines)
    one.notes[:] = [note for note in one.notes if not note.startswith(log.origin)]
    if one.chance.random() < 0.6:
        one.number += 1
        one.files.append(Log(one.number).begin(seconds, forged.lines).lines)


def show_note(one: Forger) -> None:
    """Show a note that was made up, or changed."""
    one.notes.insert(one.chance.randint(0, len(one.notes)), _note(one))


def hold_note(one: Forger) -> None:
    """Have a line at the end of a log hold a note, or a line in the midst of a log that was rewritten."""
    file = one.file()
    if not file or (place := link(file[-1])) is None:
        return
    lines = one.lines_of(place.id)
    kind = one.chance.choice(["ledger", "ledger", "checkpoint"])
    at = len(lines) if one.chance.random() < 0.7 else one.chance.randint(0, len(lines))
    lines.insert(at, _raw(place.id, written({"time": moment(70), "kind": kind, "chain": "x", "note": _note(one)})))
    _replace(one, place.id, _rewritten(lines, place.id))


def cover_cut(one: Forger) -> None:
    """Cut a log to what the witness saw earlier, and have a line repeat its newest checkpoint, signed by nobody."""
    log, by = one.log(), one.lines_of(one.log().id)
    if not log.cosignatures or not by or (place := link(by[0])) is None:
        return
    cut_to_checkpoint(one)
    process = verifier_key(log.origin, SignatureType.ED25519, log.key)
    note = f"{split(log.cosignatures[-1].note)[0]}\n{junk_line(log.origin, process.id, one.chance)}"
    lines = [*by, _raw(place.id, written({"time": moment(80), "kind": "ledger", "note": note}))]
    _replace(one, place.id, _rewritten(lines, place.id))


def sign_anew(one: Forger) -> None:
    """Tell another story in the name of the captive process, sign it, and have a line or a note show that."""
    log = one.history.captive
    if log is None or not (lines := one.lines_of(log.id)):
        return
    at = one.chance.randrange(len(lines))
    lines[at] = _edited(lines[at], one.chance)
    lines = _rewritten([*lines, *(_fresh(one, log.id) for _ in range(one.chance.randint(0, 2)))], log.id)
    note = sign_note(text_of(log.origin, lines[: one.chance.randint(at, len(lines))]), log.origin, log.key)
    _replace(one, log.id, lines)
    if one.chance.random() < 0.3:
        one.notes.append(note)
        return
    held = one.lines_of(one.log().id)
    if held and (place := link(held[0])) is not None:
        line = _raw(place.id, written({"time": moment(70), "kind": "ledger", "note": note}))
        _replace(one, place.id, _rewritten([*held, line], place.id))


def tear(one: Forger) -> None:
    """Put the beginning of a line before it, or the end of another behind it."""
    file = one.file()
    if file:
        at = one.chance.randrange(len(file))
        line = file[at]
        end = one.chance.choice([line.find(b"}") + 1, one.chance.randint(1, len(line) - 1)])
        torn = line[:end]
        if one.chance.random() < 0.5:
            file.insert(at, torn + b"\n")
        else:
            file[at] = torn + (b"\n" if one.chance.random() < 0.5 else b"}\n")


def respell(one: Forger) -> None:
    """Show a line, edited or as it is, as other readers of JSON take it and no process writes it."""
    file = one.file()
    if not file:
        return
    at = one.chance.randrange(len(file))
    line = file[at] if one.chance.random() < 0.3 else _edited(file[at], one.chance)
    other = _SPELLINGS[one.chance.randrange(len(_SPELLINGS))](line)
    if one.chance.random() < 0.7:
        file.insert(at + one.chance.randint(0, 1), other)
    else:
        file[at] = other


def change_count(one: Forger) -> None:
    """Change a number of a history in a line, and perhaps make all hashes anew behind it."""
    file, places = one.counted(_HISTORY)
    if not places:
        return
    at = one.chance.choice(places)
    member = one.chance.choice(["seq", "count", "age"])
    found = _NUMBERS[member].search(file[at])
    if found is None:
        return
    number = int(found[2]) + one.chance.choice([-2, -1, 1, 2, 50])
    file[at] = b"%b%b%d%b" % (file[at][: found.start()], found[1], max(number, 0), file[at][found.end() :])
    _rechain(one, file, at)


def drop_counted(one: Forger) -> None:
    """Take out the line of a counted call, and perhaps make all hashes anew."""
    file, places = one.counted()
    if places:
        at = one.chance.choice(places)
        place = link(file[at])
        del file[at]
        if place is not None and one.chance.random() < 0.5:
            _chained(file, place.id)


def swap_counts(one: Forger) -> None:
    """Exchange what two lines say of a history, and perhaps make all hashes anew."""
    file, places = one.counted(_HISTORY)
    if len(places) < 2:
        return
    first, second = one.chance.sample(places, 2)
    parts = [file[at].partition(_HISTORY) for at in (first, second)]
    file[first] = parts[0][0] + parts[1][1] + parts[1][2]
    file[second] = parts[1][0] + parts[0][1] + parts[0][2]
    _rechain(one, file, min(first, second))


def repeat_count(one: Forger) -> None:
    """Write the line of a counted call once more, as a line of its own."""
    file, places = one.counted()
    if places:
        at = one.chance.choice(places)
        file.insert(one.chance.randint(at, len(file)), file[at])
        _rechain(one, file, at)


def _rechain(one: Forger, file: list[bytes], at: int) -> None:
    place = link(file[at])
    if place is not None and one.chance.random() < 0.5:
        _chained(file, place.id)


def _note(one: Forger) -> str:
    """Return a note of a true or an invented log, signed by nobody, by oneself, by a captive key, or by copies."""
    chance = one.chance
    log = one.log()
    shown = one.lines_of(log.id)
    whole = chance.choice([shown, log.lines])
    if log.cosignatures and chance.random() < 0.4:
        whole = log.lines[: chance.choice(log.cosignatures).size]
    size = len(whole) if chance.random() < 0.5 else chance.randint(0, len(whole))
    text = text_of(log.origin, whole[:size])
    process = verifier_key(log.origin, SignatureType.ED25519, log.key)
    what = chance.randrange(7)
    if what == 0:
        note = f"{text}\n{junk_line(log.origin, process.id, chance)}"
    elif what == 1:
        note = sign_note(text, log.origin, _OWN)
    elif what == 2:
        # Of the captive process, it may sign what it likes.
        log = one.history.captive or log
        key = log.key if log is one.history.captive else _OWN
        note = sign_note(text_of(log.origin, one.lines_of(log.id)[: chance.randint(0, 99)]), log.origin, key)
    elif what == 3:
        note = f"{text}\n{junk_line(WITNESS_NAME, WITNESS_KEY.id, chance, size=72)}"
    elif what == 4 and log.cosignatures:
        # What the witness cosigned, with a text or a line that is another's.
        seen = chance.choice(log.cosignatures)
        lines = split(seen.note)[1]
        kept = split(seen.note)[0] if chance.random() < 0.6 else text
        note = f"{kept}\n{junk_line(log.origin, process.id, chance)}{lines[-1]}\n"
    elif what == 5 and log.cosignatures:
        # The same text, by somebody else.
        seen = chance.choice(log.cosignatures[-2:])
        note = f"{split(seen.note)[0]}\n{junk_line(log.origin, process.id, chance)}"
    else:
        note = chance.choice(one.known_notes())
    if chance.random() < 0.2:
        note = cosign_note(note, chance.choice([WITNESS_NAME, "other"]), _OWN, BEGAN + chance.randint(0, 90))
    return note


def _fresh(one: Forger, chain: str) -> bytes:
    what = one.chance.random()
    if what < 0.3:
        return _raw(chain, written({"time": moment(70), "kind": "ledger", "note": _note(one)}))
    if what < 0.5:
        return _raw(chain, written({"time": moment(70), "kind": "close", "reason": "stopped", "written": 3, "lost": 0}))
    return _raw(chain, written({"time": moment(70), "kind": "evaluation", "decision": True}))


def _raw(chain: str, line: bytes) -> bytes:
    return ChainWriter(chain).append(line)


def _edited(line: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        other = line.replace(b'"decision":true', b'"decision":false')
        return other if other != line else line.replace(b'"decision":false', b'"decision":true')
    head, found, rest = line.partition(b"},")
    return head + found + b'"edited":%d,' % chance.randrange(9) + rest if found else line


def _members(line: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(body(line))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _rewritten(lines: list[bytes], chain: str) -> list[bytes]:
    """Return lines with all hashes made anew, as one chain."""
    writer = ChainWriter(chain)
    return [writer.append(body(line)) for line in lines if link(line) is not None]


def _chained(file: list[bytes], chain: str) -> None:
    """Make the hashes of a chain anew where its lines stand."""
    places = [at for at, line in enumerate(file) if (one := link(line)) is not None and one.id == chain]
    for at, line in zip(places, _rewritten([file[at] for at in places], chain), strict=True):
        file[at] = line


def _replace(one: Forger, chain: str, lines: list[bytes]) -> None:
    """Show these lines in place of all of a chain."""
    at = next((file for file in one.files if any((p := link(x)) is not None and p.id == chain for x in file)), None)
    for file in one.files:
        file[:] = [line for line in file if (place := link(line)) is None or place.id != chain]
    if at is None:
        one.files.append(lines)
    else:
        at.extend(lines)


MOVES: Final[list[Callable[[Forger], None]]] = [
    cut,
    cut_to_checkpoint,
    set_back,
    take_out,
    edit,
    edit_anew,
    another_key,
    swap,
    renumber,
    repeat,
    merge,
    splice,
    drop,
    drop_log,
    drop_notes,
    add_lines,
    forge_log,
    show_prepared,
    forge_again,
    show_note,
    hold_note,
    cover_cut,
    sign_anew,
    tear,
    respell,
    change_count,
    drop_counted,
    swap_counts,
    repeat_count,
]
WEIGHTS: Final = [3, 6, 3, 1, 1, 2, 2, 1, 1, 1, 1, 1, 2, 3, 3, 2, 4, 3, 4, 4, 3, 3, 3, 1, 2, 2, 2, 1, 1]
