"""Names by which an upstream takes a call for another one than its request line says.

Standing: below `paths` and the adapters for proxies, which refuse a call that has one. Holds: this is the only list of
such names; they are compared as the most generous reader compares names, so that no spelling passes.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

OVERRIDE_HEADERS: Final = (
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Original-URL",
    "X-Rewrite-URL",
)
"""Headers that replace a method, or a path: as OData, many frameworks, IIS and Symfony read them."""

# What every reader of headers reads in one way. Some take an underscore for a hyphen, and some any other sign.
_HEADER: Final = re.compile(r"[A-Za-z0-9_-]+")
_HYPHENATED: Final = re.compile(r"[A-Za-z0-9-]*")
_OWN: Final = "x-bailiwick-"
_BRACKET: Final = re.compile(r"[\[\]]")

# Of a query, a form or a JSON object. Some read the names of the headers there too.
_PARAMETERS: Final = (
    "_method",  # Rails, Laravel, Symfony, WordPress, Spring, Express, Yii, Slim, Jersey
    "_method_override",  # WAI
    "__method_override__",  # Werkzeug's recipe
    "_HttpMethod",  # Salesforce
    "x-tunneled-method",  # Plack, Catalyst
)
# Rack reads these two kinds as a form. PHP takes a media type to end at a semicolon, a comma or a blank.
_FORM: Final = re.compile(r"(?:application/x-www-form-urlencoded|multipart/[^;, \t]*)(?:[;, \t].*)?", re.IGNORECASE)


def is_ambiguous_header(name: str) -> bool:
    """Tell whether a header of this name may replace the method or the path of a call, or pass for one of ours.

    CGI turns hyphens into underscores (RFC 3875, 4.1.18). PHP does so with dots, and some servers with every sign that
    a name may have (RFC 9110, 5.6.2): there `X.Bailiwick.Subject` is a second `X-Bailiwick-Subject`.
    """
    if _HEADER.fullmatch(name) is None:
        return True
    plain = name.lower().replace("_", "-")
    return plain in _FOLDED_HEADERS or ("_" in name and plain.startswith(_OWN))


def has_ambiguous_header(names: Iterable[str]) -> bool:
    """Tell whether one of these headers is ambiguous (see `is_ambiguous_header`)."""
    told = list(names)
    # All at once: without an underscore or another sign, a name is ambiguous only if it stands in the list.
    if all(told) and _HYPHENATED.fullmatch("".join(told)) and _FOLDED_HEADERS.isdisjoint(map(str.lower, told)):
        return False
    return any(map(is_ambiguous_header, told))


def plain_names(name: str) -> frozenset[str]:
    """Return what some readers take the name of a parameter for, without what they leave out of it.

    That is its case, what stands in the place of an underscore, brackets of a list, spaces around it, and NUL. Rack and
    qs of Express skip brackets at the beginning, and PHP takes one that is not closed for an underscore.
    """
    plain = name.strip().casefold().replace(".", "_").replace(" ", "_").partition("\x00")[0]
    return frozenset({_BRACKET.split(plain.lstrip("[]"))[0], plain.replace("[", "_")})


def is_override(name: str) -> bool:
    """Tell whether a parameter of this decoded name may replace the method or the path of a call."""
    return any(plain.replace("-", "_") in _FOLDED for plain in plain_names(name))


def is_form(content_types: Sequence[str]) -> bool:
    """Tell whether some reader takes a body of these types for a form. `content_types`: each value of the header."""
    return any(_FORM.fullmatch(one.strip()) for value in content_types for one in (value, *value.split(",")))


_FOLDED: Final = frozenset(
    plain.replace("-", "_") for name in (*OVERRIDE_HEADERS, *_PARAMETERS) for plain in plain_names(name)
)
_FOLDED_HEADERS: Final = frozenset(name.lower() for name in OVERRIDE_HEADERS)
