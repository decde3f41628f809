"""How the pages are written: what the check of prose finds, and what it leaves alone."""

import re

import pytest

import verify_prose
from support.pages import DOCS


def found(text: str) -> list[str]:
    return list(verify_prose.problems(text))


def test_the_pages_have_no_problem() -> None:
    pages = verify_prose.pages(DOCS.parent)
    assert DOCS / "README.md" in pages
    assert {str(page): found(page.read_text("utf-8")) for page in pages if found(page.read_text("utf-8"))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "Make it anew.",
        "Whoever asks gets it.",
        "It hangs on the clock.",
        "Mend the cluster.",
        "Spans are dear.",
        "The counter stands still.",
        "Ask the PDP.",
        "| cell | whoever reads it |",
        "It is simply there.",
        "[whoever](page.md) reads it",
    ],
)
def test_an_unwanted_word_is_found_with_its_line(text: str) -> None:
    (problem,) = found(f"# Page\n\n{text}\n")
    assert problem.startswith("3: '")


@pytest.mark.parametrize(
    "text",
    [
        "The member `anew` of a line.",
        "```sh\necho anew\n```",
        "<!-- whoever reads this -->",
        "<!--\nwhoever reads this\n-->",
        "[a page](anew.md)",
        "The decision point (PDP) decides.",
        "The decision webhook (the PDP) decides.",
        "A short one. " * 40,
        "a; " * 60,
        "`it`, " * 60,
    ],
)
def test_what_is_no_prose_and_what_is_right_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_sentence_has_fifty_words_at_most_and_its_neighbour_is_not_named() -> None:
    fifty = " ".join(["word"] * 50)
    assert found(f"Short.\n\n{fifty}. Short.\n") == []
    assert found(f"Short.\n\n{fifty} more. Short.\n") == ["3: a sentence of 51 words, more than 50: split it"]


@pytest.mark.parametrize("parted", ["\n\n", "\n- ", "\n1. ", "\n# ", " | ", "<br>", "; ", "? "])
def test_a_sentence_ends_where_a_reader_stops(parted: str) -> None:
    thirty = " ".join(["word"] * 30)
    assert found(f"{thirty}{parted}{thirty}\n") == []
    assert len(found(f"{thirty}, {thirty}\n")) == 1


def test_the_name_of_a_test_is_no_word_of_a_sentence() -> None:
    assert found(" ".join(["a_test_of_this"] * 60)) == []


def test_lines_are_counted_through_blocks_and_links() -> None:
    text = "```\na\nb\n```\n\n[a\nlink](x.md) and\nwhoever reads `it`\n"
    (problem,) = found(text)
    assert problem.startswith("8: ")


def test_every_pattern_says_what_to_write_in_place() -> None:
    assert [unwanted for unwanted in verify_prose.UNWANTED if not re.search(r"\w", unwanted.better)] == []


@pytest.mark.parametrize(
    "source",
    [
        '"""Make it anew."""',
        'def answer() -> str:\n    """Return what whoever asks is given."""',
        "x = 1  # whoever reads it",
        "# One line.\n# Whoever asks.\n",
        'raise ValueError(f"{name}: it hangs on the clock")',
        "_LOG.info('the operator was told to stop')",
        "# nobody else writes it\n",
    ],
)
def test_an_unwanted_word_of_a_docstring_a_comment_or_a_message_is_found_with_its_line(source: str) -> None:
    module = f"import x\n\n{source}\n"
    (problem,) = verify_prose.code_problems(module)
    line, _, what = problem.partition(": ")
    word = what.split("'")[1]
    assert word in module.splitlines()[int(line) - 1]


@pytest.mark.parametrize("source", ["anew = 1", "x = 'anew'", "# `anew` is a member\n", "told(nobody)"])
def test_names_and_codes_are_no_prose(source: str) -> None:
    assert list(verify_prose.code_problems(source)) == []


def test_the_code_that_is_held_to_it_has_no_problem() -> None:
    read = {
        path: list(verify_prose.code_problems(path.read_text("utf-8"))) for path in verify_prose.modules(DOCS.parent)
    }
    assert {str(path): problems for path, problems in read.items() if problems} == {}
    assert read
