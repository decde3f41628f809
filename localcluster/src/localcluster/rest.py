"""A small synchronous client of the API server.

Standing: what tests and the demo speak through. An answer is a value whatever its status; only the lack
of any answer raises (`UnreachableError`). TLS is always verified, against the login's authority alone.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict

from localcluster.errors import AccessError, UnreachableError
from localcluster.login import Login
from localcluster.machineload import stretch
from localcluster.paths import Paths

CONTENT_TYPES: Final = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
PatchKind = Literal["json", "merge", "strategic", "apply"]
Object = Mapping[str, Any]
Target = str | Object

_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. `body` is empty where it said no JSON object; `text` is there always."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    text: str = ""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, 15.3

    @property
    def message(self) -> str:
        """The message of a Status object, or the text where it is something else."""
        return str(self.body.get("message") or ("" if self.ok else self.text.strip()))

    @property
    def reason(self) -> str:
        """The machine-readable reason of a Status object, such as `Forbidden`; else empty."""
        return str(self.body.get("reason") or "") if self.body.get("kind") == "Status" else ""


class Rest:
    """Calls to one server as one identity.

    A target is a path (`/api/v1/namespaces/default`) or an object with apiVersion, kind and metadata,
    whose path is then found by discovery. One `Rest` may be used by several threads.
    """

    def __init__(self, login: Login, *, timeout: float = 30.0) -> None:
        """Prepare; nothing is sent yet. `timeout` is how many seconds a single call may take."""
        self._login = login
        self._timeout = timeout
        self._session = requests.Session()
        # The environment must not choose for us: a REQUESTS_CA_BUNDLE would replace the authority, a
        # .netrc the token, and a proxy would see requests that are meant for this machine.
        self._session.trust_env = False
        self._session.verify = str(login.authority) if login.authority else True
        if login.certificate:
            self._session.cert = (str(login.certificate.certificate), str(login.certificate.key))
        self._session.mount("https://", _Adapter(login))
        # Nothing of ours ever goes over a connection that is not encrypted.
        self._session.adapters.pop("http://")
        self._paths = Paths(self._discover)

    @property
    def login(self) -> Login:
        """Who calls, and what is called."""
        return self._login

    def get(self, target: Target, **parameters: str) -> Answer:
        """Read an object, or a list by its path; parameters such as `labelSelector` go into the query."""
        return self._to("GET", lambda: self.path(target), parameters=parameters)

    def create(
        self, body: Object, path: str | None = None, *, dry_run: bool = False, manager: str | None = None
    ) -> Answer:
        """Create an object (reviews too); `path` only where the object does not say where it belongs."""
        parameters = _options(manager, dry_run=dry_run)
        return self._to("POST", lambda: path or self._paths.collection(body), body=body, parameters=parameters)

    def replace(
        self, body: Object, subresource: str = "", *, dry_run: bool = False, manager: str | None = None
    ) -> Answer:
        """Put a whole object in the place of the one that is there."""
        parameters = _options(manager, dry_run=dry_run)
        return self._to("PUT", lambda: self.path(body, subresource), body=body, parameters=parameters)

    def patch(
        self,
        target: Target,
        change: Object | Sequence[Object],
        kind: PatchKind = "merge",
        subresource: str = "",
        *,
        dry_run: bool = False,
        manager: str | None = None,
        force: bool = False,
    ) -> Answer:
        """Change an object. For kind `apply`, `manager` is the field manager and `force` takes fields over."""
        parameters = _options(manager, dry_run=dry_run)
        if kind == "apply":
            parameters["force"] = "true" if force else "false"
        return self._to(
            "PATCH",
            lambda: self.path(target, subresource),
            body=change,
            parameters=parameters,
            headers={"Content-Type": CONTENT_TYPES[kind]},
        )

    def apply(
        self, body: Object, manager: str, subresource: str = "", *, force: bool = False, dry_run: bool = False
    ) -> Answer:
        """Server-side apply: create the object, or take and set the fields that are in `body`."""
        return self.patch(body, body, "apply", subresource, dry_run=dry_run, manager=manager, force=force)

    def delete(self, target: Target, *, dry_run: bool = False, options: Object | None = None) -> Answer:
        """Delete an object; `options` are the fields of DeleteOptions (preconditions, propagationPolicy)."""
        parameters = _options(None, dry_run=dry_run)
        return self._to("DELETE", lambda: self.path(target), body=options, parameters=parameters)

    def wait(self, target: Target, predicate: Callable[[Answer], bool], seconds: float = 30.0) -> Answer:
        """Read until the predicate holds, and return that answer; `AccessError` where it never did.

        The seconds are those of a machine that has nothing else to do; where it has, they are longer.
        """
        began = time.monotonic()
        last = ""
        while time.monotonic() - began < seconds * stretch() or not last:
            # No answer is no reason to give up: the server may be the thing that is awaited.
            try:
                answer = self.get(target)
            except UnreachableError as error:
                last = str(error)
            else:
                if predicate(answer):
                    return answer
                last = f"{answer.status} {answer.text[:2000]}"
            time.sleep(_POLL_SECONDS)
        what = target if isinstance(target, str) else f"{target['kind']} {target['metadata']['name']}"
        msg = f"{what} did not reach the expected state within {seconds:g} s; last: {last}"
        raise AccessError(msg)

    def path(self, target: Target, subresource: str = "") -> str:
        """Return the path of a target."""
        path = target if isinstance(target, str) else self._paths.of(target)
        return f"{path}/{subresource}" if subresource else path

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Object | Sequence[Object] | None = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request as it is."""
        # Not JSON alone: the key set has only a media type of its own, and health checks are plain text.
        sent = {"Accept": "application/json, */*;q=0.1", "Content-Type": "application/json", **(headers or {})}
        try:
            response = self._session.request(
                method,
                self._login.server + path,
                params=dict(parameters or {}),
                data=None if body is None else json.dumps(body).encode(),
                headers=sent,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            msg = f"{self._login.server} gave no answer to {method} {path}: {error}"
            raise UnreachableError(msg) from error
        return Answer(response.status_code, _object(response), response.headers, response.text)

    def _to(
        self,
        method: str,
        find: Callable[[], str],
        *,
        body: Object | Sequence[Object] | None = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            path = find()
        except _DiscoveryRefusedError as refused:
            return refused.answer
        return self.request(method, path, body=body, parameters=parameters, headers=headers)

    def _discover(self, path: str) -> dict[str, Any]:
        answer = self.request("GET", path)
        if answer.ok:
            return answer.body
        if answer.status == HTTPStatus.NOT_FOUND:
            return {}
        raise _DiscoveryRefusedError(answer)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._session.close()


class _DiscoveryRefusedError(AccessError):
    """Who may not even ask what there is gets that refusal as the answer to what was meant."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"The server did not list its kinds: {answer.status} {answer.message}")
        self.answer = answer


class _Adapter(HTTPAdapter):
    """Adds who we are at the last moment: `requests` itself cannot send one header several times."""

    def __init__(self, login: Login) -> None:
        self._login = login
        super().__init__(pool_maxsize=64)

    def add_headers(self, request: requests.PreparedRequest, **_: object) -> None:
        headers = HTTPHeaderDict(request.headers)
        for name, value in self._login.headers():
            headers.add(name, value)
        # urllib3 takes such headers, and sends each value on a line of its own.
        request.headers = headers  # type: ignore[assignment]


def _options(manager: str | None, *, dry_run: bool) -> dict[str, str]:
    return ({"fieldManager": manager} if manager else {}) | ({"dryRun": "All"} if dry_run else {})


def _object(response: requests.Response) -> dict[str, Any]:
    # The key set has a media type of its own, application/jwk-set+json.
    if "json" not in response.headers.get("Content-Type", ""):
        return {}
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
