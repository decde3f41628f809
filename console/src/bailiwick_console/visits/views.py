"""What each page is rendered from: beside its own things, who acts, where, and what has just been done.

Holds: what a person typed stands on the page again wherever it was not written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from bailiwick_console.grants.grantpage import GrantPage
from bailiwick_console.grants.inbox import TITLES, InboxPage
from bailiwick_console.grants.signpage import SignPage
from bailiwick_console.markup import pages
from bailiwick_console.visits.memory import PageMemory
from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.grants import grantfacts
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.health.evidencefacts import HealthItem


@dataclass(frozen=True, slots=True)
class TypedText:
    """What a person typed into the page of a grant, and why it comes back to them: not written, or not known to be."""

    reason: str = ""
    revoking: str = ""
    problem: str = ""
    unsure: str = ""


@dataclass(frozen=True, slots=True)
class VisitControls:
    """What a visit that is somebody's login has besides: the way out, and which namespace is shown; None: all."""

    namespace: str | None
    form_token: str


class PageViews:
    """The pages of one visit.

    `strip`: what stands on each of them of guards and logs. `leaves`: it is a login, which its person can end.
    `cluster_name`: what the cluster is called, in the bar and in the title of each of them.
    """

    def __init__(
        self,
        memory: PageMemory,
        me: CurrentUser,
        server: str,
        strip: Callable[[], Sequence[HealthItem]] = tuple,
        *,
        leaves: bool = False,
        cluster_name: str | None = None,
    ) -> None:
        self._memory = memory
        self._me = me
        self._server = server
        self._strip = strip
        self._leaves = leaves
        self._cluster_name = cluster_name
        self._namespace: str | None = None

    def look_at(self, namespace: str | None) -> None:
        """Say on every page that this namespace is shown."""
        self._namespace = namespace

    def signed_in(self, to: str) -> web.Response:
        """Answer with who acts. `to`: where they go on to."""
        return self.page("signedin.html", 200, to=to)

    def inbox(self, shown: InboxPage, namespace: str | None, act: str = "") -> web.Response:
        """Answer with one page of a list. `act`: what can be done there with several grants at once."""
        counts = ",".join(str(count) for count in shown.counts.values())
        version = (
            f"{namespace or ''} {counts} {shown.left_out} {shown.number} {' '.join(row.version for row in shown.rows)}"
        )
        return self.page(
            "inbox.html",
            200,
            inbox=shown,
            namespace=namespace,
            titles=TITLES,
            version=version,
            act=act,
            form_token=self._memory.form_token,
        )

    def grant(self, page: GrantPage, status: int = 200, given: TypedText | None = None) -> web.Response:
        """Answer with the page of a grant, and remember that it was shown exactly so."""
        given = given or TypedText()
        return self.page(
            "grant.html",
            status,
            page=page,
            named=tuple(grantfacts.identity(page.grant)),
            here=here(page.grant),
            shown=self._memory.show(page.grant),
            form_token=self._memory.form_token,
            notice=self._memory.take_notice(page.grant.uid),
            reason=pages.typed_markup(given.reason),
            revoking=pages.typed_markup(given.revoking),
            problem=given.problem,
            unsure=given.unsure,
        )

    def signing(
        self, page: SignPage, status: int, *, shown: str, reason: str, rp_id: str | None, problem: str
    ) -> web.Response:
        """Answer with what is signed, to be sent with a passkey's answer. `shown`: the key of the grant as shown."""
        hidden = {"token": self._memory.form_token, "shown": shown, "binding": page.grant.binding}
        return self.page(
            "sign.html",
            status,
            page=page,
            here=here(page.grant),
            fields={**hidden, "approve": page.choice.step.name},
            reason=pages.typed_markup(reason),
            rp_id=rp_id,
            problem=problem,
        )

    def changed(self, grant: GrantView, what: str, reason: str, stands: str = "") -> web.Response:
        """Answer that the grant is not as it was shown: nothing was written but, earlier, what `stands` tells."""
        typed = pages.typed_markup(reason)
        return self.page("changed.html", 409, what=what, here=here(grant), reason=typed, stands=stands)

    def failed(self, title: str, error: UserError, again: str, *, rights: Sequence[str] = ()) -> web.Response:
        """Answer that the API server refused, or could not be asked."""
        status = HTTPStatus.BAD_GATEWAY
        if rights or (isinstance(error, ApiError) and error.status == HTTPStatus.FORBIDDEN):
            status = HTTPStatus.FORBIDDEN
        elif isinstance(error, ApiError) and error.status == HTTPStatus.NOT_FOUND:
            status = HTTPStatus.NOT_FOUND
        return self.page("failed.html", status, title=title, what=str(error), again=again, rights=rights)

    def page(self, template: str, status: int, **given: Any) -> web.Response:  # noqa: ANN401 - as the template takes
        """Answer with a page of this template, which takes `given` beside what all pages say."""
        controls = VisitControls(self._namespace, self._memory.form_token) if self._leaves else None
        beside = {
            "me": self._me,
            "server": self._server,
            "cluster_name": self._cluster_name,
            "strip": self._strip,
            "controls": controls,
        }
        return html(pages.render(template, **beside, **given), status)


def here(grant: GrantView) -> str:
    """Return the path of a grant's page. Its name and namespace are what Kubernetes lets them be."""
    return f"/grants/{grant.namespace}/{grant.name}"


def html(text: str, status: int) -> web.Response:
    """Return a page as an answer."""
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def refused(why: str, *, styled: bool = True) -> web.Response:
    """Answer that this is not answered. `styled`: it is known to whom, so that the page may look like one."""
    return bare("This is not answered", why, HTTPStatus.FORBIDDEN, styled=styled)


def bare(title: str, what: str, status: int, leads: str | None = None, *, styled: bool = True) -> web.Response:
    """Answer with a page for any person. `leads`: where the browser goes on to at once."""
    return html(pages.render("bare.html", title=title, what=what, leads=leads, styled=styled), status)
