"""Logs in object stores: which objects a URL names, and what is in them, a bounded piece at a time.

Standing: under `logfiles`, around the library that speaks to the stores, which an extra brings. Holds: a list or an
object that breaks off is an error, and never the end of a log; no message shows what a store answered beyond its code,
since answers repeat keys and signatures.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Self

from bailiwick_governance.errors import UserError
from bailiwick_governance.extras import require

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import AzureStore, GCSStore, S3Store

    RemoteStore = S3Store | GCSStore | AzureStore

# ruff: noqa: PLC0415 - the library is an extra, and is loaded where a URL asks for it

_SCHEMES: Final = ("s3", "gs", "az")
_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
_REQUEST: Final = 4 << 20
"""How much one request asks for: so little that each ends in time, however slowly the lines before are judged."""
_PAGE: Final = 1000
MOST_OBJECTS: Final = 1_000_000
"""So many objects one URL may name, since the list of them is held."""
_RETRIES: Final = 4
_RETRY_TIME: Final = timedelta(seconds=60)

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_CREDENTIALS: Final = (
    "set the credentials of your store in the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
    " GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
)
_DENIED: Final = "the store denies it: your credentials need the right to list the bucket and to read its objects"
# What the library says before anything is sent, or when nothing was answered; the first that fits is shown.
_SAYINGS: Final = (
    (re.compile(r"Missing(AccessKeyId|SecretAccessKey|Account)|metadata|credential", re.IGNORECASE), _CREDENTIALS),
    (
        re.compile(r"URL scheme is not allowed|BadScheme|https_only"),
        "its endpoint is http: set AWS_ALLOW_HTTP=true to read without TLS",
    ),
    (re.compile(r"certificate", re.IGNORECASE), "the certificate of its endpoint is not trusted"),
    (re.compile(r"timed? ?out", re.IGNORECASE), "its endpoint did not answer in time: try again"),
    (
        re.compile(r"error sending request|connect|dns", re.IGNORECASE),
        "its endpoint was not reached: check the network, and AWS_ENDPOINT_URL if you set it",
    ),
)


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """The URL of objects: of one, or of all below a prefix, which is whole parts of a path."""

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, scheme: str, rest: str) -> Self:
        """Read what stands before and behind `://`. Raises `UserError`, which repeats no part that may be secret."""
        if scheme not in _SCHEMES:
            known = ", ".join(f"{one}://BUCKET/PREFIX" for one in _SCHEMES)
            raise UserError(f"logs are not read from {scheme}:// : name a file, or {known} or file:///FOLDER")
        bucket, _, prefix = rest.partition("/")
        if "?" in rest or "@" in bucket:
            raise UserError(f"a URL of {scheme}:// has no query and no user: {_CREDENTIALS}")
        if not _BUCKET.fullmatch(bucket):
            raise UserError(f"{scheme}://{rest} names no bucket: write it as {scheme}://BUCKET/PREFIX")
        parts = prefix.removesuffix("/").split("/") if prefix else []
        if any(part in {"", ".", ".."} for part in parts):
            raise UserError(f"{scheme}://{rest}: a prefix has no empty part, and none that is . or ..")
        return cls(scheme, bucket, prefix)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}"

    def objects(self) -> list["StoredObject"]:
        """Return the object of this name and all objects below it, in order of their names. Raises `UserError`."""
        require(f"{self.scheme}://", ("obstore",), "cli,objects")
        import obstore

        try:
            store = open_store(self)
            below = (one for page in obstore.list(store, self.prefix or None, chunk_size=_PAGE) for one in page)
            alone = bool(self.prefix) and not self.prefix.endswith("/")
            found = self._by_path(chain(below, _object_itself(store, self.prefix) if alone else ()))
        except library_failures() as error:
            raise UserError(f"{self} cannot be listed: {failure_sentence(error)}") from error
        return [self._stored(store, found[path]) for path in sorted(found)]

    def reader(self) -> "ObjectsBelow":
        """Return what reads objects below this prefix by their names. Raises `UserError`."""
        require(f"{self.scheme}://", ("obstore",), "cli,objects")
        try:
            return ObjectsBelow(self, open_store(self))
        except library_failures() as error:
            raise UserError(f"{self} cannot be read: {failure_sentence(error)}") from error

    def below(self, store: "RemoteStore", path: str) -> "StoredObject | None":
        """Return the object that is called so below this prefix; None: there is none. Raises `UserError`."""
        whole = f"{self.prefix.removesuffix('/')}/{path}" if self.prefix else path
        try:
            return next((self._stored(store, one) for one in _object_itself(store, whole)), None)
        except library_failures() as error:
            name = f"{self.scheme}://{self.bucket}/{whole}"
            raise UserError(f"{name} cannot be read: {failure_sentence(error)}") from error

    def _by_path(self, listed: Iterable["ObjectMeta"]) -> dict[str, "ObjectMeta"]:
        """Return those that hold anything, by the path that reads them. Raises `UserError`."""
        found: dict[str, ObjectMeta] = {}
        number = 0
        for number, one in enumerate(listed, 1):
            if number > MOST_OBJECTS:
                raise UserError(f"{self} has more than {MOST_OBJECTS:,} objects: name several longer prefixes")
            # One that is empty holds no line; stores show folders as such.
            if not one["size"]:
                continue
            if one["path"] in found:
                # The library drops a slash at either end of a name, so it would read one object for both.
                raise UserError(
                    f"{self} cannot be listed: {one['path']} is in the list twice; if the names of two objects differ"
                    " only by a slash at the beginning or the end, rename one"
                )
            found[one["path"]] = one
        if not number:
            raise UserError(f"{self}: no object there: name a bucket, and whole parts of the names of its objects")
        return found

    def _stored(self, store: "RemoteStore", listed: "ObjectMeta") -> "StoredObject":
        name = f"{self.scheme}://{self.bucket}/{listed['path']}"
        return StoredObject(name, listed["size"], listed["last_modified"], listed["path"], store)


@dataclass(slots=True)
class StoredObject:
    """One object. `size` in bytes, as it is stored; `modified`: when its store took it.

    Two readings give the same bytes, or the second one fails.
    """

    name: str
    size: int
    modified: datetime
    _path: str
    _store: Any
    _version: tuple[object, ...] | None = field(default=None, init=False)

    def open(self) -> "ObjectReader":
        """Return what reads it from its beginning."""
        return ObjectReader(self)

    def piece(self, begin: int) -> memoryview:
        """Return the next bytes from there, as many as a request asks for. Raises `UserError`."""
        import obstore

        end = min(begin + _REQUEST, self.size)
        try:
            answer = obstore.get(self._store, self._path, options={"range": (begin, end)})
            meta = answer.meta
            data = _bounded(answer.stream(min_chunk_size=end - begin), end - begin)
        except library_failures() as error:
            raise UserError(f"{self.name} cannot be read: {failure_sentence(error)}") from error
        version = (meta["size"], meta["e_tag"], meta["last_modified"])
        if self._version not in {None, version} or meta["size"] < self.size:
            raise UserError(f"{self.name} was changed while it was read: run the command again")
        if answer.range != (begin, end) or len(data) != end - begin:
            sent = f"its store sent another number of bytes than {end - begin}"
            raise UserError(f"{self.name} cannot be read: {sent}: try again")
        self._version, self.size = version, meta["size"]
        return data


class ObjectsBelow:
    """The objects below a prefix, each read by its name."""

    def __init__(self, url: StoreUrl, store: "RemoteStore") -> None:
        self._url = url
        self._store = store

    def read(self, path: str, most: int) -> bytes | None:
        """Return an object's first bytes, at most so many; None: there is no such object. Raises `UserError`."""
        found = self._url.below(self._store, path)
        if found is None:
            return None
        reader, held = found.open(), bytearray()
        while piece := reader.read(most - len(held)):
            held += piece
        return bytes(held)


class ObjectReader:
    """Reads an object from its beginning to its end."""

    def __init__(self, stored: StoredObject) -> None:
        self._stored = stored
        self._held = memoryview(b"")
        self._at = 0

    def read(self, most: int) -> bytes:
        """Return the next bytes, at most so many; none at the end. Raises `UserError`."""
        if not self._held and self._at < self._stored.size:
            self._held = self._stored.piece(self._at)
        found, self._held = self._held[:most], self._held[most:]
        self._at += len(found)
        return found.tobytes()

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._at


def open_store(url: StoreUrl) -> "RemoteStore":
    """Return the store of a URL. Raises one of `library_failures`."""
    from obstore.store import AzureStore, GCSStore, S3Store

    made: Callable[..., RemoteStore] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[url.scheme]
    # Options of the client would replace those of the environment, such as AWS_ALLOW_HTTP.
    return made(url.bucket, retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_TIME})


def _object_itself(store: "RemoteStore", path: str) -> Iterator["ObjectMeta"]:
    """Yield the object of exactly this name, if there is one."""
    import obstore

    try:
        yield obstore.head(store, path)
    except FileNotFoundError:
        return


def _bounded(pieces: Iterable[bytes], most: int) -> memoryview:
    """Return the pieces as one; of a store that sends more than `most` bytes, so much that it is seen."""
    found = bytearray()
    for piece in pieces:
        found += memoryview(piece)[: most + 1 - len(found)]
        if len(found) > most:
            break
    return memoryview(bytes(found))


def library_failures() -> tuple[type[Exception], ...]:
    """Return what the library raises where a store, or the way to it, fails."""
    from obstore.exceptions import BaseError

    # The library has words of the standard library for some of them.
    return (BaseError, OSError, ValueError)


def failure_sentence(error: Exception, denied: str = _DENIED) -> str:
    """Say why a store did not do something, and what to do, without what it answered.

    `denied`: what to say where credentials do not suffice.
    """
    said = str(error)
    status, code = _STATUS.search(said), _CODE.search(said)
    shown = " ".join(found[1] for found in (status, code) if found is not None)
    if status is not None:
        if code is not None and code[1] in {"NoSuchBucket", "ContainerNotFound"}:
            return f"there is no such bucket ({shown}): check its name and the region"
        if status[1] in {"401", "403"}:
            return f"{denied} ({shown})"
        if status[1] == "404":
            return f"it is not there, or not any more ({shown}): check its name"
        return f"the store answered {shown}: try again"
    for pattern, sentence in _SAYINGS:
        if pattern.search(said):
            return sentence
    return f"{type(error).__name__} of the library that reads object stores: check the URL and the environment"
