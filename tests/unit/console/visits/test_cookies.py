"""A cookie is read as browsers send it, so that the value of one that a sibling of the host set never becomes ours."""

import re
from pathlib import Path
from typing import Final

import pytest

import bailiwick_console
from bailiwick_console.visits.security import cookie

NAME: Final = "__Host-bailiwick-session"
OWN: Final = "a" * 42 + "_"
EVIL: Final = "e" * 42 + "-"

TAKEN: Final = {
    "alone": [f"{NAME}={OWN}"],
    "among others": [f"x=y; {NAME}={OWN}; z"],
    "with white space around it": [f"x=y;\t {NAME}={OWN}\t;z=1"],
    "in a header of its own": ["x=y", f"{NAME}={OWN}"],
    "beside one that has it in its value": [f"a=b {NAME}={EVIL}; {NAME}={OWN}"],
    "beside one that has it in a quoted value": [f'a="b; {NAME}={OWN}; c="'],
    "beside a longer name": [f"{NAME}x={EVIL}; {NAME}={OWN}; x{NAME}={EVIL}"],
    "beside another case": [f"{NAME}={OWN}; {NAME.lower()}={EVIL}"],
}

REFUSED: Final = {
    "nothing": [],
    "another": [f"x={OWN}"],
    "twice": [f"{NAME}={OWN}; {NAME}={EVIL}"],
    "twice the same": [f"{NAME}={OWN}; {NAME}={OWN}"],
    "twice, once in another header": [f"{NAME}={OWN}", f"{NAME}={EVIL}"],
    "twice, once empty": [f"{NAME}={OWN}; {NAME}="],
    "without a value": [NAME],
    "empty": [f"{NAME}="],
    "quoted": [f'{NAME}="{OWN}"'],
    "too short": [f"{NAME}={OWN[1:]}"],
    "too long": [f"{NAME}={OWN}a"],
    "with a line break": [f"{NAME}={OWN}\n"],
    "with another alphabet": [f"{NAME}={OWN[1:]}\u00e9"],
    "with white space at its name": [f"{NAME} ={OWN}"],
    **{
        f"in the value of another, after {ord(character):#x}": [f"a=b{character}{NAME}={EVIL}"]
        for character in " \t\f\v\r\n,"
    },
}


@pytest.mark.parametrize("headers", TAKEN.values(), ids=TAKEN)
def test_an_id_that_is_there_once_is_taken(headers: list[str]) -> None:
    assert cookie(headers, NAME) == OWN


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_what_is_not_there_just_once_under_its_own_name_is_none(headers: list[str]) -> None:
    assert cookie(headers, NAME) is None


def test_no_module_of_the_console_reads_cookies_by_another_way() -> None:
    other = re.compile(r"\.cookies\b|SimpleCookie|parse_cookie")
    found = Path(bailiwick_console.__file__).parent.rglob("*.py")
    assert [str(path) for path in found if other.search(path.read_text(encoding="utf-8"))] == []
