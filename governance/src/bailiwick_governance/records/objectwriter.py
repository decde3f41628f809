"""Objects that are made in a store and never replaced.

Standing: beside `objectstores`, which reads. Holds: what is there stays as it is, and the store says so in the
request that would have made it.
"""

from collections.abc import Iterator
from typing import Final

from bailiwick_governance.errors import UserError
from bailiwick_governance.extras import require
from bailiwick_governance.records.objectstores import StoreUrl, failure_sentence, library_failures, open_store

# ruff: noqa: PLC0415 - the library is an extra, and is loaded where a URL asks for it

_PIECE: Final = 256 * 1024
_DENIED: Final = (
    "the store denies it: your credentials need the right to write objects below this prefix, and to read them"
)


class ObjectWriter:
    """Makes objects below a prefix. Raises `UserError` if the URL names none."""

    def __init__(self, url: StoreUrl) -> None:
        require(f"{url.scheme}://", ("obstore",), "cli,objects")
        self._url = url
        self._below = f"{url.prefix.removesuffix('/')}/" if url.prefix else ""
        try:
            self._store = open_store(url)
        except library_failures() as error:
            raise UserError(f"{url} cannot be opened: {failure_sentence(error, _DENIED)}") from error

    def url_of(self, name: str) -> str:
        """Return the URL of an object."""
        return f"{self._url.scheme}://{self._url.bucket}/{self._below}{name}"

    def create(self, name: str, content: bytes) -> bool:
        """Make an object; False if there is one of this name, which stays as it is. Raises `UserError`.

        A store that does not know conditions replaces the object.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            # In one request: an object is there whole or not at all.
            obstore.put(self._store, self._below + name, content, use_multipart=False, mode="create")
        except AlreadyExistsError:
            return False
        except library_failures() as error:
            raise UserError(f"{self.url_of(name)} cannot be written: {failure_sentence(error, _DENIED)}") from error
        return True

    def read(self, name: str) -> Iterator[bytes]:
        """Yield what an object holds, in pieces. Raises `UserError`."""
        import obstore

        try:
            for piece in obstore.get(self._store, self._below + name).stream(min_chunk_size=_PIECE):
                yield bytes(piece)
        except library_failures() as error:
            raise UserError(f"{self.url_of(name)} cannot be read: {failure_sentence(error, _DENIED)}") from error
