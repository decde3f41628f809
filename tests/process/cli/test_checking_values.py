"""`audit check-value`: a seal is that of a value, or of another one, or nobody can tell; and what is proven without."""

import json
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.seal import key_id
from bailiwick_webhook.record.seals import ValueSealer
from support import commandline
from support.commandline import Ran
from support.evidence.logs import WITNESS_KEY, ProcessLog

KEY: Final = b"the key that nobody else may see"
IBAN: Final = "DE89370400440532013000"
ARGS: Final = {"to": "mallory", "amount": 10.0}
SEALED: Final = ValueSealer(KEY)
NAMES: Final = ("context.iban", "context.args", "context.count", "context['a=b']", "context['a")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log with a record whose values are sealed, as the decision point seals them, and the key."""
    process = ProcessLog(2).records(2)
    values = dict(zip(NAMES, (IBAN, ARGS, 3, "x", "y"), strict=True))
    attributes: dict[str, object] = {name: SEALED.seal(name, value) for name, value in values.items()}
    attributes |= {"context.tenant": "acme", "context.gone": ValueSealer(None).seal("context.gone", "x")}
    process.add(evaluation_id="paid", decision=True, attributes=attributes)
    for item in range(2):
        held = {"context.iban": SEALED.seal("context.iban", str(item))}
        process.add(evaluation_id="batch", item=item, attributes=held)
    process.close()
    (tmp_path / "a.log").write_bytes(b"".join(process.lines))
    (tmp_path / "notes").write_text(process.checkpoint())
    (tmp_path / "witness.vkey").write_text(f"{WITNESS_KEY}\n")
    (tmp_path / "key").write_bytes(KEY + b"\n")
    (tmp_path / "other").write_bytes(b"another key, and as long as that is")
    (tmp_path / "short").write_bytes(b"short")
    return tmp_path


def checked(folder: Path, *values: str, of: str = "paid", key: str = "key", more: tuple[str, ...] = ()) -> Ran:
    given = [part for value in values for part in ("--value", value)]
    return commandline.run(
        "audit", "check-value", of, str(folder / "a.log"), "--hmac-key", str(folder / key), *given, *more
    )


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (f"context.iban={IBAN}", True),
        (f'context.iban="{IBAN}"', True),
        ("context.iban=DE1", False),
        ('context.args={"amount": 10, "to": "mallory"}', True),
        ('context.args={"amount": 11, "to": "mallory"}', False),
        ("context.count=3", True),
        ('context.count="3"', False),
        # The name is the longer one of those that the record has.
        ("context['a=b']=x", True),
    ],
)
def test_a_seal_is_that_of_a_value_or_of_another(folder: Path, value: str, same: bool) -> None:
    ran = checked(folder, value)
    assert ran.code == (0 if same else 1), ran
    assert ran.out.endswith(f": the record has the seal of {'this' if same else 'another'} value\n"), ran


def test_one_wrong_value_among_right_ones_is_a_no_and_each_is_told(folder: Path) -> None:
    ran = checked(folder, f"context.iban={IBAN}", "context.count=4", more=("-o", "json"))
    body = json.loads(ran.out)
    assert (ran.code, body["kind"], body["evaluationId"], body["line"]["seq"]) == (1, "SealCheck", "paid", 3), ran
    assert body["values"] == [{"name": "context.iban", "same": True}, {"name": "context.count", "same": False}]


def test_neither_the_key_nor_a_value_is_printed(folder: Path) -> None:
    for ran in (
        checked(folder, f"context.iban={IBAN}"),
        checked(folder, f"context.iban={IBAN}", key="other"),
        checked(folder, f"context.unheard={IBAN}"),
        checked(folder, "context.iban=no", f"context.iban={IBAN}", more=("-o", "json")),
    ):
        said = ran.out + ran.err
        assert KEY.decode() not in said
        assert IBAN not in said, ran


@pytest.mark.parametrize(
    ("value", "key", "said"),
    [
        ("context.iban=x", "other", f"was sealed with the key {key_id(KEY)}, and --hmac-key is"),
        ("context.iban=x", "short", "holds no key: a key has 32 bytes or more"),
        ("context.iban=x", "nowhere", "cannot be read: No such file or directory"),
        ("context.gone=x", "key", "context.gone was sealed without a key, so its value cannot be checked"),
        ("context.tenant=acme", "key", 'context.tenant is not sealed: the record holds its value, "acme"'),
        ("context.unheard=x", "key", "the record has no attribute context.unheard"),
        ("context.iban", "key", "The sealed attributes are: context.iban, context.args"),
        ("context.iban=NaN1", "key", None),
        (f"context.count={2**53}", "key", "has no canonical form"),
    ],
)
def test_what_nobody_can_tell_is_neither_a_yes_nor_a_no(folder: Path, value: str, key: str, said: str | None) -> None:
    ran = checked(folder, value, key=key)
    if said is None:
        assert ran.code == 1, ran
        return
    assert (ran.code, ran.out, said in ran.err) == (2, "", True), ran


def test_of_a_batch_the_item_is_named(folder: Path) -> None:
    assert "choose one with --item" in checked(folder, "context.iban=1", of="batch").err
    wrong, right = (checked(folder, 'context.iban="1"', of="batch", more=("--item", str(item))) for item in (0, 1))
    assert (wrong.code, right.code) == (1, 0), (wrong, right)
    gone = checked(folder, "context.iban=1", of="no-such")
    assert (gone.code, "no record of no-such" in gone.err) == (1, True)


def test_with_the_key_destroyed_every_proof_holds_and_no_value_can_be_checked(folder: Path) -> None:
    log, notes, witness = (str(folder / name) for name in ("a.log", "notes", "witness.vkey"))
    flags = ("--checkpoints", notes, "--witness-key", witness)
    before = commandline.run("audit", "verify", log, *flags)
    (folder / "key").unlink()
    assert checked(folder, f"context.iban={IBAN}").code == 2
    after = commandline.run("audit", "verify", log, *flags)
    assert (after.code, after.out) == (0, before.out), after
    record = str(folder / "record.json")
    proven = commandline.run("audit", "prove", "paid", log, *flags, "--record", record)
    (folder / "proof").write_text(proven.out)
    told = commandline.run("audit", "check-proof", str(folder / "proof"), record, "--witness-key", witness)
    assert (told.code, told.out.startswith("proven: line 3 of the log ")) == (0, True), told
    assert '"hmac"' in (folder / "record.json").read_text()
