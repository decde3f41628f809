"""What answers plain requests (see `plainrequest`), as the connection asks it.

Standing: between `decisionprotocol`, which sends the answers, and whatever decides. Holds: a request is begun once; of
one that is not taken nothing has happened but that its connection is the one's who asks.
"""

import asyncio
from typing import Protocol

from bailiwick_webhook.http.transport.answers import WholeAnswer
from bailiwick_webhook.http.transport.plainrequest import PlainRequest
from bailiwick_webhook.steps import Need


class Origin(Protocol):
    """Where a request came from: the address, and the connection where we keep it ourselves. A `web.BaseRequest` is."""

    @property
    def remote(self) -> str | None:
        """The address of the client."""

    @property
    def protocol(self) -> object:
        """The connection: one of ours, or anything else."""


class ConnectionOrigin(Origin, Protocol):
    """An origin with its transport, by which a client certificate is read. A `web.BaseRequest` is one, too."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; None once the connection is lost."""


class DecisionShortcut(Protocol):
    """Answers plain requests."""

    def begin(self, sent: PlainRequest, origin: ConnectionOrigin) -> WholeAnswer | Need[WholeAnswer] | None:
        """Return the answer to a request, or what has to be awaited for it.

        A need is met to its end also where the connection is lost meanwhile, so that what is used is recorded; only the
        end of the process cancels it. What it raises is a defect, and is answered with 500.

        None: it is not for this shortcut, and nothing is decided; the connection is aiohttp's from then on.
        """
