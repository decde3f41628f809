"""A form as it was sent, or the answer to one that cannot be read.

Holds: whatever bytes stand in it, and whatever it says of its alphabet, is no defect of the console. It comes within
a moment or not at all, so that none waits until the visit that it was let in for is over.
"""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.web_request import FileField
from multidict import MultiDictProxy

FORM_SECONDS: Final = 10.0
"""How long all of a form may take to arrive."""

FormFields = MultiDictProxy[str | bytes | bytearray | FileField]


class PostedForm:
    """The fields of a form. One that is missing, or is no text, is empty."""

    def __init__(self, fields: FormFields) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """Return the first field of a name, with line breaks as people mean them."""
        return _text(self._fields.get(name, ""))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return all fields of a name."""
        return tuple(map(_text, self._fields.getall(name, ())))


async def read_form(request: web.Request) -> PostedForm:
    """Return the fields of a form.

    Raises `HTTPBadRequest` where it is in no alphabet that is known, and `HTTPRequestTimeout` where it comes
    too slowly.
    """
    try:
        async with asyncio.timeout(FORM_SECONDS):
            return PostedForm(await request.post())
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (LookupError, ValueError):
        raise web.HTTPBadRequest(reason="The form cannot be read") from None


def _text(value: object) -> str:
    # Browsers send another line break than people mean.
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""
