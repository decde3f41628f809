"""What a registrar reads before they sign: a line for each key, which no comment imitates."""

import os

from bailiwick_cli.commands.reviewers import key_lines

FORGED = "- carol  ssh-ed25519  SHA256:forged"


def texts_of(name: str, comment: str, columns: int | None) -> list[str]:
    row = (name, "ssh-ed25519", "SHA256:abc", comment, "Key", "until 2027-12-01T00:00:00Z")
    screen = None if columns is None else os.terminal_size((columns, 24))
    return ["".join(text for text, _ in line) for line in key_lines("+ ", [row], screen)]


def test_a_long_comment_goes_on_further_in_and_looks_like_no_other_line() -> None:
    for columns in (40, 80, 200):
        lines = texts_of("mallory", f"{'x' * 150} {FORGED} {'y' * 300}", columns)
        assert lines[0].startswith("+ mallory  ssh-ed25519  SHA256:abc")
        assert all(line.startswith(" " * 6) for line in lines[1:])
        assert max(map(len, lines)) <= columns


def test_into_a_file_each_key_is_one_line() -> None:
    (line,) = texts_of("mallory", "x" * 500, None)
    assert line == f"+ mallory  ssh-ed25519  SHA256:abc  {'x' * 500}  until 2027-12-01T00:00:00Z"


def test_a_name_that_reads_as_another_one_is_marked() -> None:
    (line,) = texts_of("c\u0430rol", "laptop", None)
    assert line.startswith("+ c\u0430rol [letters of several alphabets: Cyrillic, Latin]  ssh-ed25519")
