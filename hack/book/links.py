"""Links: what the built pages load and lead to.

Holds: whatever a page loads by itself lies in the site, and so does the target of each link without a host, with its
anchor. A link that a reader follows may lead elsewhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

# Attributes by which a page loads something by itself, by tag. A link of the kind `link` loads too.
_LOADS: Final = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "object": ("data",),
    "embed": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
}
# A `link` of these kinds names another page and loads nothing.
_NAMES_ONLY: Final = frozenset({"next", "prev", "search", "index", "canonical", "license", "author"})
_STYLE: Final = re.compile(r"""(?:@import\s+|url\()\s*["']?((?:https?:)?//[^"')\s]+)""")


@dataclass(slots=True)
class _Reader(HTMLParser):
    """Collects ids, links and loads of one page."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self, convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and set(values.get("rel", "").split()) <= _NAMES_ONLY:
            self.links.append(values.get("href", ""))
            return
        for name in _LOADS.get(tag, ()):
            if name in values:
                self.loads += _candidates(values[name]) if name == "srcset" else [values[name]]
        self.loads += _STYLE.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        # In a `style` alone the parser gives what stands in it as one text.
        if self.cdata_elem == "style":
            self.loads += _STYLE.findall(data)


def _candidates(srcset: str) -> list[str]:
    """Return the addresses of a `srcset`, of which a browser chooses one."""
    return [candidate.split()[0] for candidate in re.split(r",\s+", srcset.strip()) if candidate]


def problems(site: Path) -> Iterator[str]:
    """Yield a sentence for each load from another host, and each link or load that leads nowhere in `site`."""
    site = site.resolve()
    readers: dict[Path, _Reader] = {}
    for path in sorted(site.rglob("*.html")):
        readers[path] = reader = _Reader()
        reader.feed(path.read_text(encoding="utf-8"))
    for path, reader in readers.items():
        for problem in (*_of_loads(path, reader), *_of_links(path, readers)):
            yield f"{path.relative_to(site)}: {problem}"
    for path in sorted(site.rglob("*.css")):
        for address in _STYLE.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)}: loads {address}"


def _of_loads(path: Path, reader: _Reader) -> Iterator[str]:
    for load in reader.loads:
        parts = urlsplit(load)
        if parts.netloc:
            yield f"loads {load}"
        elif parts.scheme != "data" and not _target(path, parts.path).exists():
            yield f"loads {load}, which is not there"


def _of_links(path: Path, readers: dict[Path, _Reader]) -> Iterator[str]:
    for link in readers[path].links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = _target(path, parts.path)
        if not target.exists():
            yield f"leads to {link}, which is not there"
        elif parts.fragment and target in readers and unquote(parts.fragment) not in readers[target].ids:
            yield f"leads to {link}, which has no such anchor"


def _target(page: Path, link: str) -> Path:
    return (page.parent / unquote(link)).resolve() if link else page
