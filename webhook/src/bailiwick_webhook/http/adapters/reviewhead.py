"""What an AdmissionReview says of itself, read without the objects that it carries.

Standing: under `enforce`. Holds: of what is not named here no object is built, however much there is of it; what is
named is bounded in bytes before it is parsed; of somebody who is not authenticated no more is read than what an answer
has to repeat.
"""

import re
from typing import Any, Final

import msgspec
import orjson

from bailiwick_api.manifests.admission import REVIEW_VERSION
from bailiwick_webhook.http.problems import ProblemError, bad_request

HEAD_BYTES: Final = 1024
"""Bytes of a body in which `uid` has to stand. The API server writes it first."""
VERSION: Final = f"admission.k8s.io/{REVIEW_VERSION}"
# A name has at most 253 characters, and each may be escaped.
_MOST_TEXT: Final = 4 * 1024
_MOST_PATH: Final = 64 * 1024
# Of the user, its groups above all.
_MOST_GROUPS: Final = 128 * 1024
_ABSENT: Final = msgspec.Raw()
_UID: Final = re.compile(rb'"request"\s*:\s*\{\s*"uid"\s*:\s*"([ !#-\[\]-~]{1,253})"')


class _Review(msgspec.Struct):
    version: msgspec.Raw = msgspec.field(name="apiVersion", default=_ABSENT)
    kind: msgspec.Raw = _ABSENT
    request: msgspec.Raw = _ABSENT


class _Request(msgspec.Struct, rename="camel"):
    uid: msgspec.Raw = _ABSENT
    operation: msgspec.Raw = _ABSENT
    resource: msgspec.Raw = _ABSENT
    sub_resource: msgspec.Raw = _ABSENT
    name: msgspec.Raw = _ABSENT
    namespace: msgspec.Raw = _ABSENT
    dry_run: msgspec.Raw = _ABSENT
    user_info: msgspec.Raw = _ABSENT
    object: msgspec.Raw = _ABSENT
    old_object: msgspec.Raw = _ABSENT


class _User(msgspec.Struct):
    username: msgspec.Raw = _ABSENT
    uid: msgspec.Raw = _ABSENT
    groups: msgspec.Raw = _ABSENT


class _Object(msgspec.Struct):
    metadata: msgspec.Raw = _ABSENT
    path: msgspec.Raw = _ABSENT


class _Metadata(msgspec.Struct, rename="camel"):
    name: msgspec.Raw = _ABSENT
    namespace: msgspec.Raw = _ABSENT
    generate_name: msgspec.Raw = _ABSENT
    uid: msgspec.Raw = _ABSENT


_REVIEW: Final = msgspec.json.Decoder(_Review)
_REQUEST: Final = msgspec.json.Decoder(_Request)
_USER: Final = msgspec.json.Decoder(_User)
_OBJECT: Final = msgspec.json.Decoder(_Object)
_METADATA: Final = msgspec.json.Decoder(_Metadata)


def uid_in(head: bytes) -> str:
    """Return the uid of a review by its first bytes; empty where it does not stand there."""
    found = _UID.search(head)
    return "" if found is None else found[1].decode()


def request_of(raw: bytes) -> dict[str, Any]:
    """Return the request of a review. Raises `ProblemError` (400).

    It has the members of `AdmissionRequest` that say what the call is about. Of `object` and `oldObject`, where they
    are objects, it has the names and the uid in `metadata`, and `path`, which the options of a proxied call have.
    """
    try:
        return _request(raw)
    except RecursionError:
        raise bad_request("the body is nested too deep", "") from None
    except msgspec.DecodeError as error:
        raise bad_request(f"the body is not valid JSON: {error}", "") from None


def _request(raw: bytes) -> dict[str, Any]:
    if not _is_object(raw):
        raise _other()
    review = _REVIEW.decode(raw)
    if (_small(review.version, "apiVersion"), _small(review.kind, "kind")) != (VERSION, "AdmissionReview"):
        raise _other()
    if not _is_object(review.request):
        raise bad_request("must be an object", "request")
    request = _REQUEST.decode(review.request)
    members = {
        "uid": _small(request.uid, "request.uid"),
        "operation": _small(request.operation, "request.operation"),
        "resource": _small(request.resource, "request.resource"),
        "subResource": _small(request.sub_resource, "request.subResource"),
        "name": _small(request.name, "request.name"),
        "namespace": _small(request.namespace, "request.namespace"),
        "dryRun": _small(request.dry_run, "request.dryRun"),
        "userInfo": _user(request.user_info),
        "object": _object(request.object, "request.object"),
        "oldObject": _object(request.old_object, "request.oldObject"),
    }
    return {name: value for name, value in members.items() if value is not None}


def _user(raw: msgspec.Raw) -> dict[str, Any] | None:
    if not _is_object(raw):
        return None
    user = _USER.decode(raw)
    return {
        "username": _short(user.username, _MOST_TEXT),
        "uid": _short(user.uid, _MOST_TEXT),
        "groups": _short(user.groups, _MOST_GROUPS),
    }


def _object(raw: msgspec.Raw, where: str) -> dict[str, Any] | None:
    if not _is_object(raw):
        return None
    found = _OBJECT.decode(raw)
    members = {"path": _short(found.path, _MOST_PATH)} if found.path else {}
    if _is_object(found.metadata):
        metadata, within = _METADATA.decode(found.metadata), f"{where}.metadata"
        members["metadata"] = {
            "name": _small(metadata.name, f"{within}.name"),
            "namespace": _small(metadata.namespace, f"{within}.namespace"),
            "generateName": _small(metadata.generate_name, f"{within}.generateName"),
            "uid": _small(metadata.uid, f"{within}.uid"),
        }
    return members


def _short(raw: msgspec.Raw, most: int) -> Any:  # noqa: ANN401 - any JSON value
    """Parse what matters only for some calls; what is too long, or cannot be read, is False, which is no such value.

    Another kind may have a large member called `path`, and who calls does not matter where nothing is protected.
    """
    if memoryview(raw).nbytes > most:
        return False
    try:
        return orjson.loads(memoryview(raw)) if raw else None
    except orjson.JSONDecodeError:
        return False


def _small(raw: msgspec.Raw, where: str, most: int = _MOST_TEXT) -> Any:  # noqa: ANN401 - any JSON value
    """Parse what has few bytes; None where it is absent. Raises `ProblemError` (400)."""
    if not raw:
        return None
    if memoryview(raw).nbytes > most:
        raise bad_request(f"has more than {most} bytes", where)
    try:
        return orjson.loads(memoryview(raw))
    except orjson.JSONDecodeError as error:
        raise bad_request(f"is not valid JSON: {error}", where) from None


def _is_object(raw: bytes | msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:64]).lstrip(b" \t\r\n").startswith(b"{")


def _other() -> ProblemError:
    return bad_request(f"must be an AdmissionReview of {VERSION}", "kind")
