"""The file of reviewers' keys: what a line may say, and that anything else makes the file an error with its line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from bailiwick_engine.signatures.publickey import encode_key, parse_public_key
from bailiwick_engine.signatures.reviewerkeys import (
    KEYS_PER_PERSON,
    MOST_BYTES,
    ReviewerKeysError,
    parse_reviewer_keys,
)
from bailiwick_engine.signatures.sshsig import write_signature
from support.signatures.keys import SecurityKey, entry_line, keygen_verifies, reviewers_text

KEY: Final = SecurityKey.make("bailiwick.example.com").public
OTHER: Final = SecurityKey.make(ed25519=True).public
NS: Final = 'namespaces="review@bailiwick.dev"'


def test_a_file_says_whose_key_is_whose_and_since_when() -> None:
    options = ',valid-after="20261101Z",valid-before="202701011230Z"'
    text = reviewers_text("# phones", entry_line("oidc:carol", KEY, options), "", entry_line("dave", OTHER), serial=12)
    found = parse_reviewer_keys(text)
    carol, dave = found.entries
    assert (found.serial, carol.principal, carol.comment, dave.principal) == (12, "oidc:carol", "test", "dave")
    assert carol.after == datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    assert carol.before == datetime(2027, 1, 1, 12, 30, tzinfo=UTC).timestamp()
    assert [carol.in_time(moment) for moment in (carol.after - 1, carol.after, carol.before - 1, carol.before)] == [
        *(False, True, True, False)
    ]
    # Where the time is only known within bounds, it counts once it has certainly begun, and while it certainly lasts.
    for now, earliest, counts in (
        (carol.after + 28, carol.after - 1, False),
        (carol.after + 28, carol.after, True),
        (carol.before - 1, carol.before - 29, True),
        (carol.before, carol.before - 28, False),
    ):
        assert carol.in_time(now, earliest) is counts
    assert found.key_of("oidc:carol", KEY) is carol
    assert found.key_of("oidc:Carol", KEY) is None
    assert found.key_of("dave", KEY) is None


@pytest.mark.parametrize(
    ("principal", "options", "reads"),
    [
        ("carol", ',valid-after="19700102Z"', True),
        ("carol", ',valid-after="19700101Z"', False),
        ("carol", ',valid-before="19700101Z"', False),
        ("c" * 1022, "", True),
        ("c" * 1023, "", False),
    ],
)
def test_openssh_reads_the_same_times_and_names(principal: str, options: str, reads: bool, tmp_path: Path) -> None:
    key = SecurityKey.make(ed25519=True)
    text = reviewers_text(entry_line(principal, key.public, options))
    signature = write_signature(key.sign(b"message"))
    assert keygen_verifies(tmp_path, text, principal, signature, b"message") is reads
    if reads:
        assert parse_reviewer_keys(text).entries[0].principal == principal
    else:
        with pytest.raises(ReviewerKeysError):
            parse_reviewer_keys(text)


WRONG: Final = {
    "a wildcard": (entry_line("oidc:*", KEY), "one exact username"),
    "a list": (entry_line("carol,dave", KEY), "one exact username"),
    "a negation": (entry_line("!carol", KEY), "one exact username"),
    "a quotation": (entry_line('"carol"', KEY), "one exact username"),
    "an authority": (f"carol cert-authority,{NS} {KEY}", "cert-authority is not accepted"),
    "an unknown option": (f"carol {NS},touch-required {KEY}", "touch-required is not accepted"),
    "an option in capitals": (f'carol Namespaces="review@bailiwick.dev" {KEY}', "is not accepted"),
    "no namespace": (f'carol valid-after="20260101Z" {KEY}', "needs the option namespaces"),
    "no option": (f"carol {KEY}", "write <username>"),
    "another namespace": (f'carol namespaces="git" {KEY}', "needs the option namespaces"),
    "two namespaces": (f'carol namespaces="review@bailiwick.dev,git" {KEY}', "is not accepted"),
    "an option twice": (f"carol {NS},{NS} {KEY}", "stands twice"),
    "a local time": (entry_line("carol", KEY, ',valid-after="20260101"'), "must be a time in UTC"),
    "no day": (entry_line("carol", KEY, ',valid-after="20260230Z"'), "must be a time in UTC"),
    "an end before the start": (
        entry_line("carol", KEY, ',valid-after="20260102Z",valid-before="20260101Z"'),
        "must be later",
    ),
    "a time before OpenSSH's first": (entry_line("carol", KEY, ',valid-after="19700101Z"'), "must be later than 1970"),
    "an end before OpenSSH's first": (entry_line("carol", KEY, ',valid-before="19691231Z"'), "must be later than 1970"),
    "a name that is too long for OpenSSH": (entry_line("c" * 1023, KEY), "at most 1022 characters"),
    "the type of another key": (f"carol {NS} ssh-ed25519 {str(KEY).split(' ')[1]}", "not ssh-ed25519"),
    "a type that is not accepted": (f"carol {NS} ssh-dss AAAAB3NzaC1kc3M=", "not accepted"),
    "base64 with other bits": (f"carol {NS} {str(OTHER)[:-1]}!", "base64"),
    "a blank before": (f" {entry_line('carol', KEY)}", "write <username>"),
    "a carriage return": (entry_line("carol", KEY) + "\r", "cannot be printed"),
    "an invisible character": (entry_line("ca\u200brol", KEY), "cannot be printed"),
    "a second serial": ("# serial: 9", "in the first three lines"),
    "a second installation": ("# Installation: prod", "in the first three lines"),
    "a second end": ("#Expires: 2099-01-01T00:00:00Z", "in the first three lines"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_is_an_error_with_its_line_if_it_has(name: str) -> None:
    line, why = WRONG[name]
    with pytest.raises(ReviewerKeysError) as refused:
        parse_reviewer_keys(reviewers_text(entry_line("dave", OTHER), line))
    assert str(refused.value).startswith("line 5: ")
    assert why in str(refused.value)


def test_a_key_is_of_one_person_once_under_whatever_name_or_type() -> None:
    point = SecurityKey.make().public.material
    kinds = [
        parse_public_key(encode_key("sk-ecdsa-sha2-nistp256@openssh.com", point, application))
        for application in ("ssh:", "bailiwick.example.com")
    ]
    kinds.append(parse_public_key(encode_key("ecdsa-sha2-nistp256", point)))
    for again in kinds:
        for who in ("carol", "dave"):
            with pytest.raises(ReviewerKeysError, match=r"line 5: this key is in line 4 too"):
                parse_reviewer_keys(reviewers_text(entry_line("carol", kinds[0]), entry_line(who, again)))


def test_a_person_has_at_most_eight_keys() -> None:
    lines = [entry_line("carol", SecurityKey.make().public) for _ in range(KEYS_PER_PERSON + 1)]
    assert len(parse_reviewer_keys(reviewers_text(*lines[:-1])).entries) == KEYS_PER_PERSON
    with pytest.raises(ReviewerKeysError, match=r"line 12: carol has more than 8 keys"):
        parse_reviewer_keys(reviewers_text(*lines))


HEADS: Final = {
    "nothing": "",
    "no serial": "# expires: 2030-01-01T00:00:00Z\n# installation: test\n",
    "no end": "# serial: 1\n# installation: test\n",
    "the serial 0": "# serial: 0\n# expires: 2030-01-01T00:00:00Z\n# installation: test\n",
    "a serial with a sign": "# serial: +1\n# expires: 2030-01-01T00:00:00Z\n# installation: test\n",
    "a serial in other digits": "# serial: \u0661\n# expires: 2030-01-01T00:00:00Z\n# installation: test\n",
    "a serial that is too large": "# serial: 9999999999999999\n# expires: 2030-01-01T00:00:00Z\n# installation: test\n",
    "an end without a zone": "# serial: 1\n# expires: 2030-01-01T00:00:00\n# installation: test\n",
    "an end that is no day": "# serial: 1\n# expires: 2030-02-30T00:00:00Z\n# installation: test\n",
    "no installation": "# serial: 1\n# expires: 2030-01-01T00:00:00Z\n",
    "an empty installation": "# serial: 1\n# expires: 2030-01-01T00:00:00Z\n# installation: \n",
    "two installations": "# serial: 1\n# expires: 2030-01-01T00:00:00Z\n# installation: test prod\n",
    "an order of its own": "# expires: 2030-01-01T00:00:00Z\n# serial: 1\n# installation: test\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_file_must_begin_with_serial_and_end_and_not_with(name: str) -> None:
    with pytest.raises(ReviewerKeysError, match="must begin with"):
        parse_reviewer_keys(HEADS[name])


def test_a_file_that_is_too_large_is_an_error() -> None:
    with pytest.raises(ReviewerKeysError, match=f"at most {MOST_BYTES}"):
        parse_reviewer_keys(reviewers_text("#" * MOST_BYTES))


def test_ssh_keygen_reads_the_same_file_to_the_same_end(tmp_path: Path) -> None:
    key, now = SecurityKey.make("bailiwick.example.com"), datetime.now(UTC)
    text = write_signature(key.assertion(b"m"))
    days = {name: (now + timedelta(days=number)).strftime("%Y%m%d") for name, number in (("past", -9), ("future", 9))}
    for options, wanted in (
        ("", True),
        (f',valid-after="{days["past"]}Z"', True),
        (f',valid-after="{days["future"]}Z"', False),
        (f',valid-before="{days["future"]}Z"', True),
        (f',valid-before="{days["past"]}Z"', False),
    ):
        signers = reviewers_text(entry_line("oidc:carol", key.public, options))
        entry = parse_reviewer_keys(signers).key_of("oidc:carol", key.public)
        assert entry is not None
        assert entry.in_time(now.timestamp()) is wanted
        assert keygen_verifies(tmp_path, signers, "oidc:carol", text, b"m") is wanted
