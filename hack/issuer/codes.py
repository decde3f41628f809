"""Logins of the issuer: a page on which one says who one is, codes, and tokens for them (RFC 6749, RFC 7636, RFC 9207).

Standing: beside `keys`, pure but for its memory; `server` puts it on paths. Holds: a code is good once, for the
client, the address and the verifier that it was asked for with.
"""

import base64
import hashlib
import html
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urljoin

from issuer.keys import Signer

AUTHORIZE: Final = "/authorize"
CHOSEN: Final = "/authorize/as"
TOKEN: Final = "/token"  # noqa: S105 - a path
END_SESSION: Final = "/end-session"

Claims = dict[str, Any]


@dataclass
class Logins:
    """Who can log in, and how. `people` are the claims of each, by name.

    `clients` are their secrets (None: public) and addresses to return to.
    `seconds` is how long tokens live; `twist` changes the claims of the next ones; `refreshes`: refresh tokens, too.
    `ends`: a client can have a browser log out here (RP-Initiated Logout 1.0).
    """

    people: dict[str, Claims] = field(default_factory=dict)
    clients: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    seconds: int = 3600
    twist: Callable[[Claims], Claims] = lambda claims: claims
    refreshes: bool = False
    ends: bool = False
    _codes: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    _refreshing: dict[str, tuple[str, str]] = field(default_factory=dict)

    def page(self, asked: Mapping[str, str]) -> str:
        """Return a page with a link for each person."""
        links = ((f"{CHOSEN}?{urlencode({**asked, 'person': person})}", person) for person in self.people)
        items = "".join(f'<li><a href="{html.escape(url)}">{html.escape(person)}</a></li>' for url, person in links)
        return f"<!doctype html><title>Who are you?</title><h1>Who are you?</h1><ul>{items}</ul>"

    def answer(self, asked: Mapping[str, str], issuer: str) -> str | None:
        """Return where the browser goes on to with a code; None where the question is none."""
        client = self.clients.get(asked.get("client_id", ""))
        known = client is not None and client[1] == asked.get("redirect_uri")
        if not known or asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256":
            return None
        code = secrets.token_urlsafe(16)
        self._codes[code] = (asked["person"], asked)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked.get('state', ''), 'iss': issuer})}"

    def ended(self, asked: Mapping[str, str]) -> str | None:
        """Return where the browser goes on to after it logged out; None where that is no page of the client's."""
        client = self.clients.get(asked.get("client_id", ""))
        back = asked.get("post_logout_redirect_uri", "")
        return back if client is not None and back == urljoin(client[1], "/") else None

    def tokens(self, form: Mapping[str, str], basic: tuple[str, str] | None, signer: Signer) -> tuple[int, Claims]:
        """Return status and body of the token endpoint."""
        client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret"))
        if client_id not in self.clients or self.clients[client_id][0] != secret:
            return 401, {"error": "invalid_client"}
        nonce = None
        match form.get("grant_type"):
            case "authorization_code":
                person, asked = self._codes.pop(form.get("code", ""), ("", {}))
                fits = asked.get("client_id") == client_id and asked.get("redirect_uri") == form.get("redirect_uri")
                if not fits or _challenge(form.get("code_verifier", "")) != asked.get("code_challenge"):
                    return 400, {"error": "invalid_grant"}
                nonce = asked.get("nonce")
            case "refresh_token":
                person, whose = self._refreshing.pop(form.get("refresh_token", ""), ("", ""))
                if not person or whose != client_id:
                    return 400, {"error": "invalid_grant"}
            case _:
                return 400, {"error": "unsupported_grant_type"}
        claims = self.twist({"sub": person, "aud": client_id, "nonce": nonce, **self.people[person]})
        subject, audience = claims.pop("sub"), claims.pop("aud")
        token = signer.token(subject, audience, seconds=self.seconds, header={"typ": "JWT"}, **claims)
        answer: Claims = {"id_token": token, "access_token": secrets.token_urlsafe(16), "token_type": "Bearer"}
        if self.refreshes:
            answer["refresh_token"] = secrets.token_urlsafe(16)
            self._refreshing[answer["refresh_token"]] = (person, client_id)
        return 200, answer


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
