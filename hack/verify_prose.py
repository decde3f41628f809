"""Whether pages and code are written as the project writes: run by `make lint`.

Standing: reads Markdown and Python, changes nothing. Holds: a word that translates another language's idiom, or that
has a term of the glossary, is named with the better one; a sentence has at most MOST_WORDS words. On a page, code is
not prose; in a module, docstrings, comments and messages are. Decision records and the changelog are history, and are
not read.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import verify_text

ROOT: Final = Path(__file__).resolve().parent.parent
MOST_WORDS: Final = 50
_HISTORY: Final = ("docs/adr/", "CHANGELOG.md")
# What is shipped, where its code is read as pages are.
PACKAGES: Final = (
    *("cli/src", "console/src", "crds/src", "engine/src", "governance/src", "notifications/src", "operator/src"),
    *("policystore/src", "process/src", "sdk/src", "webhook/src"),
)


@dataclass(frozen=True, slots=True)
class UnwantedWord:
    """A pattern of words, and what to write in their place."""

    pattern: re.Pattern[str]
    better: str


def _word(pattern: str, better: str) -> UnwantedWord:
    return UnwantedWord(re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), better)


UNWANTED: Final = (
    # idioms of another language
    _word("anew", "again, or a new one"),
    _word("who(?:m)?ever", "name them: a person, a caller, anyone who"),
    _word(r"hangs? (?:on|upon)", "depends on"),
    _word("mend(?:s|ed|ing)?", "fix"),
    _word(r"st(?:and|ands|anding|ood) still", "is unresponsive, is stuck, stops"),
    _word(r"good again", "say what shows that it works: Verification"),
    _word(r"(?:to|can|could|may) be had", "is available"),
    _word("dear(?:er|est)?", "expensive, or important"),
    _word(r"(?:is|are|was|were) told (?:of|off)", "learns of, is notified of"),
    _word(r"(?:as|so) much as may be", "as much as possible"),
    _word(r"to begin with", "first"),
    _word(r"on end", "continuously"),
    _word("hence", "so, or therefore"),
    _word(r"gives? (?:none|nobody)", "there is no"),
    # terms of the glossary
    _word(r"(?<!\()(?<!\(the )PDP", "decision point"),
    _word(r"(?<!\()PEP", "enforcement point"),
    _word("white-?lists?|black-?lists?", "allowlist, denylist"),
    _word("simply|easily|obviously|of course", "leave it out"),
    _word("utili[sz]e[sd]?", "use"),
    _word("e\\.g\\.|i\\.e\\.", "for example, that is"),
)
# In code, PDP and PEP are names. The last two were everywhere, and named neither what happens nor who is meant.
UNWANTED_IN_CODE: Final = (
    *(word for word in UNWANTED if "decision point" not in word.better and "enforcement point" not in word.better),
    _word("told", "say what happens: reported, notified, passed, shown, written"),
    _word("nobody", "name them: no caller, no tenant, no other process"),
)
_FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG: Final = re.compile(r"<[^>\n]+>")
_CODE: Final = re.compile(r"``.+?``|`[^`]+`", re.DOTALL)
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
# A semicolon parts items of a list and ideas of a sentence, a bar the cells of a row.
_BREAK: Final = re.compile(r"(?<=[.!?;])[\"')*_]*\s+|\s*\|\s*")
# A new paragraph, item, row or heading ends a sentence too.
_START: Final = re.compile(r"\n(?=\s*(?:[-*|#>]|\d+\.\s|\n))")


def main() -> int:
    """Print what is wrong, a line each, and return the exit code."""
    found = [f"{path.relative_to(ROOT)}:{problem}" for path in pages(ROOT) for problem in problems(_read(path))]
    found += [f"{path.relative_to(ROOT)}:{problem}" for path in modules(ROOT) for problem in code_problems(_read(path))]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


def pages(root: Path) -> list[Path]:
    """Return the pages that Git tracks or would add, without history."""
    found = (path for path in verify_text.files(root) if path.suffix == ".md")
    return [path for path in found if not path.relative_to(root).as_posix().startswith(_HISTORY)]


def modules(root: Path) -> list[Path]:
    """Return the modules whose prose is held to the same rules, in the order of their paths."""
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def code_problems(source: str) -> Iterator[str]:
    """Yield a sentence, with the line, for each problem of a module's docstrings, comments and messages."""
    for line, text in _prose_of_code(source):
        for problem in problems(text, UNWANTED_IN_CODE):
            inside, _, what = problem.partition(": ")
            yield f"{line + int(inside) - 1}: {what}"


def _prose_of_code(source: str) -> Iterator[tuple[int, str]]:
    """Yield each docstring, message and block of comments, with the line on which it begins."""
    for node in ast.walk(ast.parse(source)):
        # What has no space is a name or a code, not a sentence.
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value
    block: list[str] = []
    first = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != first + len(block):
            yield first, "\n".join(block)
            block = []
        if not block:
            first = token.start[0]
        block.append(token.string.lstrip("# "))
    if block:
        yield first, "\n".join(block)


def problems(text: str, unwanted_words: tuple[UnwantedWord, ...] = UNWANTED) -> Iterator[str]:
    """Yield a sentence, with the line, for each unwanted word and each sentence that is too long."""
    prose = _prose(text)
    for unwanted in unwanted_words:
        for match in unwanted.pattern.finditer(prose):
            yield f"{_line(prose, match.start())}: '{match.group()}': {unwanted.better}"
    start = 0
    for paragraph in _START.split(prose):
        for sentence in map(str.strip, _BREAK.split(paragraph)):
            # What has an underscore is the name of a test, or code.
            words = sum("_" not in word for word in re.findall(r"\w[\w'-]*", sentence))
            if words > MOST_WORDS:
                where = prose.find(sentence, start)
                yield f"{_line(prose, where)}: a sentence of {words} words, more than {MOST_WORDS}: split it"
        start = prose.find(paragraph, start) + len(paragraph)


def _prose(text: str) -> str:
    """Return the text with everything that is no prose made empty; lines stay where they are."""
    for pattern in (_FENCE, _COMMENT):
        text = pattern.sub(lambda match: "\n" * match.group().count("\n"), text)
    text = _LINK.sub(lambda match: match[1] + "\n" * (match.group().count("\n") - match[1].count("\n")), text)
    text = _TAG.sub(lambda match: "; " if match.group() == "<br>" else " ", text)
    return _CODE.sub(lambda match: "_" + "\n" * match.group().count("\n"), text)


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
