"""Who asks: everything that is one person's alone, found for each request by how they came in.

Holds: handlers keep nothing of a person between requests; what they read, write, remember and show, they take here.
"""

import time
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from aiohttp import web

from bailiwick_api.accounts import Installation
from bailiwick_console.grants.source import GrantSource
from bailiwick_console.strip.keeper import StripKeeper
from bailiwick_console.threads.background import WorkShelf
from bailiwick_console.threads.calls import ClusterThreads
from bailiwick_console.threads.recordfiles import RecordFiles
from bailiwick_console.visits.memory import PageMemory
from bailiwick_console.visits.security import SiteAddress
from bailiwick_console.visits.views import PageViews
from bailiwick_engine.signatures.registrars import NO_REGISTRARS, Registrars
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.apiserver.people import CurrentUser, Permissions
from bailiwick_governance.errors import ApiError, UserError

_INSTALLATION: Final = Installation().namespace
# For how long a right counts that only sorts a list; a review asks for it again.
_RIGHTS_SECONDS: Final = 60.0
# Grants as they were shown take memory, and here many people's. What is done with several shows a page of them at once.
_SHOWN_TO_ONE_OF_MANY: Final = 64


class ConsoleVisitor:
    """One person, from when they came in until they leave. `namespace` None: they look at all namespaces.

    `records`: the record files that they named, which only a console on their own machine has. `leaves`: they logged
    in, as others do beside them, and can log out. `installation`: where Bailiwick itself is. `registrars`: who
    enrols reviewers, as far as this console was given their keys. `cluster_name`: what the cluster is called.
    """

    def __init__(  # noqa: PLR0913 - what a visit begins with
        self,
        cluster: ClusterClient,
        me: CurrentUser,
        namespace: str | None,
        records: RecordFiles | None = None,
        *,
        leaves: bool = False,
        installation: str = _INSTALLATION,
        registrars: Registrars = NO_REGISTRARS,
        cluster_name: str | None = None,
    ) -> None:
        self.records = records
        self.installation = installation
        self.registrars = registrars
        self.shelf = WorkShelf()
        self.memory = PageMemory(_SHOWN_TO_ONE_OF_MANY) if leaves else PageMemory()
        self.strip = StripKeeper(cluster, installation)
        self.views = PageViews(
            self.memory, me, cluster.server, self.strip.items, leaves=leaves, cluster_name=cluster_name
        )
        self.source = GrantSource(cluster, me, namespace, installation, registrars)
        self.views.look_at(namespace)
        self.threads = ClusterThreads()
        self._permissions = (Permissions(cluster), time.monotonic())

    def look_at(self, namespace: str | None) -> None:
        """Show another namespace from now on."""
        self.source = replace(self.source, namespace=namespace)
        self.views.look_at(namespace)

    @property
    def permissions(self) -> Permissions:
        """What they may do, as it was found out a short while ago."""
        known, since = self._permissions
        if time.monotonic() - since > _RIGHTS_SECONDS:
            known = Permissions(self.source.cluster)
            self._permissions = (known, time.monotonic())
        return known


def heard(request: web.Request, error: UserError) -> None:
    """Have the visit end with the answer to a request where the API server no longer knows who asks."""
    if isinstance(error, ApiError) and error.status == HTTPStatus.UNAUTHORIZED:
        request[UNKNOWN] = True


UNKNOWN: Final = web.RequestKey("unknown", bool)
"""Set where a handler has itself said, on a page with what was typed, that the API server refuses the token."""
SITE: Final[web.AppKey[SiteAddress]] = web.AppKey("site")
"""Where an application carries the one name under which it answers."""
VISITOR: Final = web.RequestKey("visitor", ConsoleVisitor)
"""Where a request carries who asks. It is there in every handler but those by which somebody comes in."""
