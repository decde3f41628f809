"""The pages of people who are not logged in: the button, and what the API server would need to know.

Holds: nothing on these pages is of any person.
"""

from http import HTTPStatus

from aiohttp import web

from bailiwick_console.hosted.settings import ClientSettings
from bailiwick_console.markup import pages
from bailiwick_console.visits.views import html

_CONFIGURATION = """\
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: {issuer}
    audiences: [{client_id}]   # beside those that kubectl's tokens have, if it uses this issuer too
    audienceMatchPolicy: MatchAny
  claimMappings:
    username: {{claim: sub, prefix: "oidc:"}}
    groups: {{claim: groups, prefix: "oidc:"}}
"""


def configuration(issuer: str, client_id: str) -> str:
    """Return the AuthenticationConfiguration by which an API server accepts the id tokens that a client is given."""
    return _CONFIGURATION.format(issuer=issuer, client_id=client_id)


class LoginPages:
    """The pages of one issuer and client."""

    def __init__(self, client: ClientSettings) -> None:
        self.issuer = client.issuer
        self._client_id = client.client_id

    def login(self, to: str, problem: str, status: int) -> web.Response:
        """Answer with the button. `to`: where they go on to."""
        return self._page(status, "Log in", to=to, problem=problem)

    def unknown(self) -> web.Response:
        """Answer that the API server does not accept the issuer's tokens, and what would make it accept them."""
        problem = "You are not logged in: the API server does not accept the token that your identity provider gave."
        wanted = configuration(self.issuer, self._client_id)
        title = "The cluster does not know you"
        return self._page(HTTPStatus.FORBIDDEN, title, problem=problem, wanted=wanted)

    def _page(self, status: int, title: str, *, to: str = "/", problem: str, wanted: str = "") -> web.Response:
        text = pages.render(
            "login.html",
            title=title,
            to=to,
            problem=problem,
            configuration=pages.typed_markup(wanted),
            issuer=self.issuer,
        )
        return html(text, status)
