"""The issuer, asked over HTTPS: its document, its keys, and tokens for a code.

Holds: https only, no redirect is followed, no proxy of the environment is used, answers are bounded in size and time;
what it answers is never passed on: an error names what was asked for, and at most the code of RFC 6749.
"""

import base64
import hashlib
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import orjson

from bailiwick_api.issuers import problem_of_url
from bailiwick_console.hosted import idtoken
from bailiwick_console.hosted.idtoken import LoginClaims, UnknownSignerError
from bailiwick_console.hosted.settings import ClientSettings
from bailiwick_governance.errors import UserError

DISCOVERY: Final = "/.well-known/openid-configuration"
_MAX_BYTES: Final = 256 * 1024
_SECONDS: Final = 10.0
_KEPT: Final = 3600.0
# Tokens that name unknown keys make us ask the issuer at most so often.
_KEYS_APART: Final = 10.0
# RFC 6749, 5.2. Everything else that it may answer a client says nothing of a token.
_REFUSES: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_CODE: Final = re.compile(r"[a-z_]{1,40}")


class ProviderError(UserError):
    """The issuer refuses, or does not answer as it should. `refuses`: it said no to what it was asked for a token."""

    def __init__(self, message: str, *, refuses: bool = False) -> None:
        super().__init__(message)
        self.refuses = refuses


@dataclass(frozen=True, slots=True)
class ProviderDocument:
    """What the issuer's discovery document says. `names_itself`: its answers in the browser have `iss` (RFC 9207).

    `logout`: where a browser ends its session at the issuer (RP-Initiated Logout 1.0); None: nowhere.
    """

    authorization: str
    token: str
    keys: str
    names_itself: bool
    posts_secrets: bool
    logout: str | None


@dataclass(frozen=True, slots=True)
class GivenTokens:
    """What the issuer gave for a code or a refresh token. They are never printed."""

    id_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)


class LoginProvider:
    """One issuer, as one client of it. `clock` is seconds since 1970."""

    def __init__(self, client: ClientSettings, callback: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._callback = callback
        self._clock = clock
        self._document: tuple[ProviderDocument, float] | None = None
        self._keys: tuple[object, float] | None = None
        self._trusted = ssl.create_default_context(cafile=None if client.ca_file is None else str(client.ca_file))

    async def document(self) -> ProviderDocument:
        """Return its document, at most an hour old. Raises `ProviderError`."""
        if self._document is None or self._clock() - self._document[1] > _KEPT:
            found = await self._fetch("GET", self._client.issuer.rstrip("/") + DISCOVERY)
            self._document = (_document(found, self._client.issuer), self._clock())
        return self._document[0]

    async def authorization_url(self, state: str, nonce: str, verifier: str) -> str:
        """Return where the browser goes to log in. Raises `ProviderError`."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._callback,
            "scope": " ".join(self._client.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self._client.max_age is not None:
            asked["max_age"] = str(self._client.max_age)
        return _add_query((await self.document()).authorization, asked)

    async def logout_url(self, back: str) -> str | None:
        """Return where the browser goes to log out of the issuer, and from there to `back`; None: nowhere.

        No id token goes along: it would stand in the browser's history. Raises `ProviderError`.
        """
        base = (await self.document()).logout
        asked = {"client_id": self._client.client_id, "post_logout_redirect_uri": back}
        return None if base is None else _add_query(base, asked)

    async def redeem(self, code: str, verifier: str) -> GivenTokens:
        """Return the tokens for a code. Raises `ProviderError`."""
        given = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._callback}
        return await self._tokens({**given, "code_verifier": verifier}, None)

    async def refresh(self, refresh_token: str) -> GivenTokens:
        """Return new tokens for a refresh token. Raises `ProviderError`."""
        return await self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token}, refresh_token)

    async def verified(self, token: str, nonce: str | None) -> LoginClaims:
        """Return what an id token says. Raises `IdTokenError` and `ProviderError`."""
        try:
            return self._verify(token, nonce, await self._published_keys(fresh=False))
        except UnknownSignerError:
            # The issuer has changed its keys since, or this one was never published.
            return self._verify(token, nonce, await self._published_keys(fresh=True))

    def _verify(self, token: str, nonce: str | None, keys: object) -> LoginClaims:
        client = self._client
        now = self._clock()
        return idtoken.verify(
            token,
            keys,
            issuer=client.issuer,
            client_id=client.client_id,
            now=now,
            nonce=nonce,
            # What comes for a refresh token still tells of the login before: a session has an end of its own.
            max_age=None if nonce is None else client.max_age,
        )

    async def _published_keys(self, *, fresh: bool) -> object:
        age = None if self._keys is None else self._clock() - self._keys[1]
        if age is None or age > _KEPT or (fresh and age > _KEYS_APART):
            found: object = await self._fetch("GET", (await self.document()).keys)
            self._keys = (found, self._clock())
            return found
        return None if self._keys is None else self._keys[0]

    async def _tokens(self, given: Mapping[str, str], before: str | None) -> GivenTokens:
        document, headers, form = await self.document(), {}, dict(given)
        secret = self._client.secret
        if secret is None or document.posts_secrets:
            form |= {"client_id": self._client.client_id} | ({} if secret is None else {"client_secret": secret})
        else:
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            pair = f"{quote(self._client.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        answer = await self._fetch("POST", document.token, form, headers)
        id_token, refresh_token = answer.get("id_token"), answer.get("refresh_token", before)
        if not isinstance(id_token, str) or not isinstance(refresh_token, str | None):
            raise ProviderError("the issuer gave no id token: is openid among the scopes of the client?")
        return GivenTokens(id_token, refresh_token)

    async def _fetch(
        self, method: str, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        where = f"the issuer ({urlsplit(url).netloc}{urlsplit(url).path})"
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._trusted),
                    timeout=aiohttp.ClientTimeout(total=_SECONDS),
                    trust_env=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                ) as session,
                session.request(
                    method,
                    url,
                    data=form,
                    allow_redirects=False,
                    headers={"Accept": "application/json", **(headers or {})},
                ) as response,
            ):
                raw = bytearray()
                async for chunk in response.content.iter_any():
                    raw += chunk
                    if len(raw) > _MAX_BYTES:
                        raise ProviderError(f"{where} answers with more than {_MAX_BYTES} bytes")
                status = response.status
            answer = orjson.loads(raw) if raw else {}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderError(f"{where} does not answer: {type(error).__name__}") from None
        except ValueError:
            raise ProviderError(f"{where} does not answer with JSON") from None
        if not isinstance(answer, dict):
            raise ProviderError(f"{where} does not answer with a JSON object")
        if status != HTTPStatus.OK:
            code = answer.get("error")
            said = f" ({code})" if isinstance(code, str) and _CODE.fullmatch(code) else ""
            raise ProviderError(f"{where} answers {status}{said}", refuses=method == "POST" and status in _REFUSES)
        return answer


def _document(found: Mapping[str, Any], issuer: str) -> ProviderDocument:
    if found.get("issuer") != issuer:
        raise ProviderError("the issuer's document is of another issuer: compare --issuer with its `issuer`")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not isinstance(found.get(name), str) or problem_of_url(found[name]) is not None:
            raise ProviderError(f"the issuer's document has no https URL as {name}")
    methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return ProviderDocument(
        authorization=found["authorization_endpoint"],
        token=found["token_endpoint"],
        keys=found["jwks_uri"],
        names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        posts_secrets=isinstance(methods, list) and "client_secret_basic" not in methods,
        logout=_usable(found.get("end_session_endpoint")),
    )


def _usable(url: object) -> str | None:
    """Return a URL that a browser may be sent to. A wrong one does not keep people from logging in, or out of here."""
    return url if isinstance(url, str) and "#" not in url and problem_of_url(url) is None else None


def _add_query(base: str, asked: Mapping[str, str]) -> str:
    return f"{base}{'&' if urlsplit(base).query else '?'}{urlencode(asked)}"
