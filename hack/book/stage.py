"""Stage: the pages that the site is made of, copied to a folder with the repository's layout.

Holds: a page keeps its path, so its links stay as they are. What a page links to is there too: other pages, and files
of the repository, which readers download. A link to a folder leads to the folder's README, or to a list of its files.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

INDEX: Final = PurePosixPath("docs/README.md")
_FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<=\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)


def stage(root: Path, target: Path) -> list[PurePosixPath]:
    """Copy every page that `docs/README.md` leads to, and what these link to, from `root` to `target`.

    Returns the paths of the pages. Raises `FileNotFoundError` for a link to nothing.
    """
    pages: dict[PurePosixPath, str] = {}
    waiting = [INDEX]
    while waiting:
        page = waiting.pop()
        if page not in pages:
            pages[page], targets = _page(root, page)
            for found in targets:
                if found.suffix == ".md":
                    waiting.append(found)
                else:
                    _copy(root / found, target / found)
    index = pages[INDEX]
    listed = {found for _, entries in sections(index) for found in entries}
    pages[INDEX] = index + _contents(index)
    for page, text in pages.items():
        # A page that only other pages lead to is in no table of contents, and Sphinx is told that this is meant.
        orphan = "" if page == INDEX or page in listed else "---\norphan: true\n---\n\n"
        path = target / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(orphan + text, encoding="utf-8")
    shutil.copytree(root / "docs" / "images", target / "docs" / "images", dirs_exist_ok=True)
    return sorted(pages)


def sections(index: str) -> Iterator[tuple[str, list[PurePosixPath]]]:
    """Yield the title of each section of the index and the pages that it links to, in order, each page once."""
    seen = {INDEX}
    _, *parts = _HEADING.split(index)
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        entries = []
        for link, _ in _LINK.findall(_FENCE.sub("", text)):
            page = _within(INDEX.parent, link) if ":" not in link else INDEX
            if page.suffix == ".md" and page not in seen:
                seen.add(page)
                entries.append(page)
        yield title, entries


def _contents(index: str) -> str:
    """Return the tables of contents that the navigation is made of."""
    texts = []
    for title, entries in sections(index):
        if entries:
            lines = "\n".join(f"/{entry.with_suffix('')}" for entry in entries)
            texts.append(f"\n```{{toctree}}\n:caption: {title}\n:hidden:\n\n{lines}\n```\n")
    return "".join(texts)


def _page(root: Path, page: PurePosixPath) -> tuple[str, set[PurePosixPath]]:
    """Return the text of a page with links to folders led on to a page, and all that it links to."""
    targets: set[PurePosixPath] = set()

    def led(match: re.Match[str]) -> str:
        link, rest = match.groups()
        if re.match(r"[a-z]+:", link):
            return match.group()
        found = _within(page.parent, link)
        if (root / found).is_dir():
            found /= "README.md"
            link = f"{link.rstrip('/')}/README.md"
        targets.add(found)
        return link + rest

    text = _text(root, page)
    # What a block shows is no link of the page.
    parts = re.split(f"({_FENCE.pattern})", text, flags=_FENCE.flags)
    return "".join(part if number % 2 else _LINK.sub(led, part) for number, part in enumerate(parts)), targets


def _text(root: Path, page: PurePosixPath) -> str:
    path = root / page
    if path.name == "README.md" and not path.exists():
        return _listing(path.parent, page.parent)
    return path.read_text(encoding="utf-8")


def _listing(folder: Path, name: PurePosixPath) -> str:
    """Return a page that lists the files of a folder that has none of its own."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    entries = "\n".join(f"/{name / path.stem}" for path in files if path.suffix == ".md")
    contents = f"\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n" if entries else ""
    title = "Decisions" if entries else name
    return f"# {title}\n\n" + "".join(f"- [{_title(path)}]({path.name})\n" for path in files) + contents


def _title(path: Path) -> str:
    found = _TITLE.search(path.read_text(encoding="utf-8")) if path.suffix == ".md" else None
    return found[1] if found else path.name


def _within(folder: PurePosixPath, link: str) -> PurePosixPath:
    return PurePosixPath(os.path.normpath(folder / link))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
