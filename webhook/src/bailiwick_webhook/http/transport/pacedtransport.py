"""The transport that aiohttp is given: it reads while aiohttp wants to, and while nothing waits for its turn.

Standing: under `connections`, over the loop's own transport. Holds: of the two that may stop the reading neither makes
it go on while the other one wants it stopped; all else is the transport's.
"""

import asyncio
from typing import Any


class PacedTransport(asyncio.Transport):
    """A transport over another one."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._wanted = True
        self._held = False
        # The way of every answer.
        self.write = transport.write  # type: ignore[method-assign]  # it takes and returns the same
        self.writelines = transport.writelines  # type: ignore[method-assign]  # likewise
        self.is_closing = transport.is_closing  # type: ignore[method-assign]  # likewise

    def hold(self) -> None:
        """Stop reading until `release`."""
        self._held = True
        self._follow()

    def release(self) -> None:
        """Read on, if aiohttp wants to."""
        self._held = False
        self._follow()

    def pause_reading(self) -> None:
        """Stop reading."""
        self._wanted = False
        self._follow()

    def resume_reading(self) -> None:
        """Read on, unless something is held."""
        self._wanted = True
        self._follow()

    def is_reading(self) -> bool:
        """Tell whether it reads."""
        return self._transport.is_reading()

    def close(self) -> None:
        """Close it, after what was written."""
        self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as the superclass has it
        """Return what the transport tells of itself."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set the protocol."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._transport.get_protocol()

    def can_write_eof(self) -> bool:
        """Tell whether it can be closed in one direction."""
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        """Close it in one direction."""
        self._transport.write_eof()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are not sent yet."""
        return self._transport.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return from how many on its protocol is paused."""
        return self._transport.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set from how many on its protocol is paused."""
        self._transport.set_write_buffer_limits(high, low)

    def _follow(self) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        if self._wanted and not self._held:
            transport.resume_reading()
        else:
            transport.pause_reading()
