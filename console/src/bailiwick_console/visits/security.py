"""Which requests are ours, and the headers of our answers: what stands between the browser's other pages and a grant.

Holds: pure. Refused is what is not known to be ours: another Host (DNS rebinding), a page of another origin (CSRF, also
from a port or sub-domain beside us), a frame, and every write that cannot show where it comes from.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

RP_ID: Final = "bailiwick.localhost"
"""The RP id of passkeys on loopback: every run's name is below it, so that a passkey outlives the run."""
SUFFIX: Final = f".{RP_ID}"
WRITES: Final = frozenset({"POST"})
READS: Final = frozenset({"GET", "HEAD"})
FORM: Final = "application/x-www-form-urlencoded"

_DIRECTIVES: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "; ".join(_DIRECTIVES),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Server": "bailiwick",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer of the console's. What is no HTTP is answered by the parser, in a line of text and without them.

None of them is Access-Control-Allow-*: no other origin may read any.
"""

# What `secrets.token_urlsafe(32)` makes: every id that the console keeps in a browser is one.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_FRAMES: Final = frozenset({"embed", "fencedframe", "frame", "iframe", "object"})
# With `Referrer-Policy: no-referrer`, browsers send a form's Origin as null.
_NO_ORIGIN: Final = "null"


class SiteAddress(Protocol):
    """The one name under which a console answers."""

    @property
    def host(self) -> str:
        """What the Host header must be."""

    @property
    def origin(self) -> str:
        """What the Origin header must be."""

    @property
    def rp_id(self) -> str | None:
        """The RP id of passkeys here (WebAuthn); None where there can be none."""


@dataclass(frozen=True, slots=True)
class ConsoleAddress:
    """Where the console is: a name that only this run has, which every browser resolves to loopback by itself."""

    name: str
    port: int

    @property
    def host(self) -> str:
        """What the Host header must be."""
        return f"{self.name}{SUFFIX}:{self.port}"

    @property
    def origin(self) -> str:
        """What the Origin header must be."""
        return f"http://{self.host}"

    @property
    def rp_id(self) -> str:
        """The same for every run."""
        return RP_ID


@dataclass(frozen=True, slots=True)
class RequestSource:
    """What a request says of where it comes from. `followed`: to what it asks for, a link from elsewhere may lead."""

    method: str
    hosts: Sequence[str]
    origins: Sequence[str]
    fetch_site: str | None
    fetch_dest: str | None
    media: str
    followed: bool = False


def refusal(source: RequestSource, address: SiteAddress) -> str | None:
    """Return why a request is not answered, in words for the person who asks; None: it is ours."""
    if list(source.hosts) != [address.host]:
        return "The request is for another host than this console."
    if source.method not in READS | WRITES:
        return "The console takes only GET and POST."
    if source.fetch_dest in _FRAMES:
        return "The console is not shown inside another page."
    if source.method in WRITES:
        return _write_refusal(source, address)
    if source.fetch_site in {None, "none", "same-origin"} or source.followed:
        return None
    return "The link was followed from another page. Type the address, or open the console by its own links."


def cookie(headers: Iterable[str], name: str) -> str | None:
    """Return the id that a cookie holds, from the Cookie headers as they came; None: it is not there just once.

    Only `;` ends a cookie, as for browsers (RFC 6265, 5.4). Who may set a cookie of another name, as a sibling of the
    host may, would otherwise write one of ours into its value, and `__Host-` would keep out no cookie.
    """
    pairs = [pair.strip(" \t").split("=", 1) for header in headers for pair in header.split(";")]
    # A name that has white space or anything else at it is another name.
    values = [rest[0] for key, *rest in pairs if key == name and rest]
    return values[0] if len(values) == 1 and _ID.fullmatch(values[0]) else None


def _write_refusal(source: RequestSource, address: SiteAddress) -> str | None:
    if source.fetch_site is None:
        if list(source.origins) != [address.origin]:
            return "The browser does not say from which page this form comes."
    elif source.fetch_site != "same-origin" or not set(source.origins) <= {address.origin, _NO_ORIGIN}:
        return "The form comes from another page than this console."
    if source.media != FORM:
        return "The console takes only its own forms."
    return None
