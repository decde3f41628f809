"""Pages as HTML: the templates, and the one place where text becomes markup.

Holds: everything is escaped by the template engine, and nothing is ever marked as safe but what is escaped here; what
cannot be seen is made visible once more on the way out; a name that a template misspells is an error.
"""

import functools
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bailiwick_governance import lookalikes
from bailiwick_governance.display import legible, show_escaped
from bailiwick_governance.grants.grantfacts import FactRows

_HERE: Final = Path(__file__).parents[1]
STATIC: Final = {
    "console.css": "text/css",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(("charts.js", "console.js", "keys.js", "passkey.js", "decide.js"), "text/javascript"),
}
"""Files of ours that are served as they are, with their media types."""
VENDORED: Final = {
    **dict.fromkeys(("open-props-colors.css", "open-props-shadows.css", "open-props-sizes.css"), "text/css"),
    "uplot.css": "text/css",
    "uplot.js": "text/javascript",
}
"""Files of others that are served as they are. `vendored/manifest.toml` says where each is from."""
_ROOMS: Final = (".", "access", "dashboard", "endpoints", "passkeys", "records")
"""The folders that have templates: no two of them have one of the same name."""


def render(template: str, **given: Any) -> str:  # noqa: ANN401 - what the template takes
    """Return a page. `given` are what the template names; every one of them must be there."""
    return _environment().get_template(template).render(given)


def typed_markup(text: str) -> Markup:
    """Return what a person typed, to be put back into the field where they typed it: escaped, line breaks kept."""
    return escape(text)


def static(name: str) -> tuple[bytes, str] | None:
    """Return a file of `STATIC` or `VENDORED` and its media type; None where there is none of this name."""
    for folder, files in (("static", STATIC), ("vendored", VENDORED)):
        if name in files:
            return (_HERE / folder / name).read_bytes(), files[name]
    return None


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader([_HERE / folder / "templates" for folder in _ROOMS]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["legible"] = legible
    made.filters["warnings"] = lookalikes.warnings
    made.tests["rows"] = lambda told: isinstance(told, FactRows)
    return made


def _escape(value: object) -> object:
    # Markup is ours: what a macro returned, or what `typed` escaped.
    return show_escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value
