"""The page of one grant, and the two things that can be done on it: a review, which may be signed, and a revocation.

Holds: a review is tied to the grant exactly as this visit was shown it, a revocation to its uid; what is wrong with a
form, what the guards refuse and what a silent API server leaves open come back on the page with whatever was typed.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from bailiwick_console.grants.grantpage import PageContext, compose
from bailiwick_console.grants.signpage import SignPage
from bailiwick_console.threads.calls import UnsentError
from bailiwick_console.visits.forms import PostedForm, read_form
from bailiwick_console.visits.views import TypedText, here
from bailiwick_console.visits.visitor import SITE, VISITOR, heard
from bailiwick_engine.approval.display import visible
from bailiwick_engine.signatures.statement import REVIEW_NAMESPACE
from bailiwick_governance.display import talk
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.grants import reviews, signedreviews, steps
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.reviews import ChangedGrantError, Decision
from bailiwick_governance.grants.steps import StepChoice
from bailiwick_governance.signing.enrolledkeys import read_enrolled_keys
from bailiwick_governance.signing.passkeys import PasskeyAssertion, PasskeyError, passkey_signature

# Each button has the step that it is for as its value.
_BUTTONS: Final[Mapping[str, Decision]] = {"approve": "Approve", "deny": "Deny"}
_DONE: Final = {"Approve": "approved", "Deny": "denied"}
_FORGOTTEN: Final = "This page is older than what the console remembers, or was not the console's."


async def grant(request: web.Request) -> web.StreamResponse:
    """Show a grant. A link may name its uid: then no other one of its name is shown."""
    visitor = request[VISITOR]
    source, threads = visitor.source, visitor.threads
    namespace, name = request.match_info["namespace"], request.match_info["name"]
    found = await threads.run(lambda: source.grant(namespace, name, frozenset(request.query.getall("uid", ()))))
    return visitor.views.grant(await threads.run(lambda: compose(found, source.context(found))))


async def review(request: web.Request) -> web.StreamResponse:
    """Add one review to the grant that was shown."""
    return await _DecisionWriter(request).review(request)


async def sign(request: web.Request) -> web.StreamResponse:
    """Add an approval that a passkey has signed, to the grant that was shown."""
    return await _DecisionWriter(request).sign(request)


async def revoke(request: web.Request) -> web.StreamResponse:
    """Take back the grant that was shown."""
    return await _DecisionWriter(request).revoke(request)


class _DecisionWriter:
    """What one person writes."""

    def __init__(self, request: web.Request) -> None:
        visitor = request[VISITOR]
        self._request = request
        self._source = visitor.source
        self._views = visitor.views
        self._threads = visitor.threads
        self._memory = visitor.memory

    async def review(self, request: web.Request) -> web.StreamResponse:
        """Add one review to the grant that was shown."""
        form = await read_form(request)
        grant = self._grant_of_form(request, form)
        if isinstance(grant, web.Response):
            return grant
        reason = form.text("reason").strip()
        pressed = [one for one in _BUTTONS if form.text(one)]
        if len(pressed) != 1:
            return await self._wrong(grant, reason, "Press one button.")
        if pressed == ["approve"] and not reason:
            return await self._wrong(grant, reason, "Give a reason, for the record.")
        try:
            choice = steps.choose(grant, self._source.me, form.text(pressed[0]), None)
        except UserError as error:
            return await self._wrong(grant, reason, str(error))
        decision = _BUTTONS[pressed[0]]
        if decision == "Approve" and choice.step.signature is not None:
            return await self._signing(grant, form, choice, reason)
        return await self._review(grant, choice, decision, reason)

    async def sign(self, request: web.Request) -> web.StreamResponse:
        """Add an approval with its signature, once it is known to be one of the person's own enrolled passkeys."""
        form = await read_form(request)
        grant = self._grant_of_form(request, form)
        if isinstance(grant, web.Response):
            return grant
        # Not stripped once more: it is signed as the page before had it.
        reason = form.text("reason")
        try:
            choice = steps.choose(grant, self._source.me, form.text("approve"), None)
        except UserError as error:
            return await self._wrong(grant, reason, str(error))
        try:
            signature = await self._signature(grant, choice, reason, form)
        except PasskeyError as error:
            return await self._signing(grant, form, choice, reason, str(error))
        except UserError as error:
            # The keys could not be read: nothing was sent, and the passkey can be used again.
            heard(self._request, error)
            return await self._signing(grant, form, choice, reason, str(error))
        return await self._review(grant, choice, "Approve", reason, signature)

    async def _signature(self, grant: GrantView, choice: StepChoice, reason: str, form: PostedForm) -> str:
        """Return the signature of a form as a review has it. Raises `PasskeyError` where it would not count."""
        assertion = PasskeyAssertion.parse(*(form.text(name) for name in ("authenticator", "client", "signature")))
        if assertion.origin != self._request.app[SITE].origin:
            raise PasskeyError("the passkey was not used on this page")
        visitor, me = self._request[VISITOR], self._source.me.username
        keys = await self._threads.run(
            lambda: read_enrolled_keys(self._source.cluster, visitor.installation, visitor.registrars)
        )
        if keys.trust.keys is None:
            raise PasskeyError(f"whose passkey it is, is not known here: {keys.trust.problem}")
        signed = signedreviews.statement(grant, me, choice, reason)
        signature = passkey_signature(assertion, keys.keys_of(me), REVIEW_NAMESPACE, signed)
        if signature is None:
            raise PasskeyError(
                "no passkey that is enrolled for you signed this statement: choose another one, or have it enrolled"
            )
        entry = reviews.review_entry(grant, me, choice, "Approve", reason, signature)
        problem = signedreviews.signature_problem_here(grant, entry, choice.step, keys, time.time())
        if problem is not None:
            raise PasskeyError(problem)
        return signature

    async def _signing(
        self, grant: GrantView, form: PostedForm, choice: StepChoice, reason: str, problem: str = ""
    ) -> web.Response:
        """Answer with the page that says what is signed, and asks for a passkey."""
        try:
            signed = signedreviews.statement(grant, self._source.me.username, choice, reason)
        except UserError as error:
            return await self._wrong(grant, reason, str(error))
        page = SignPage.compose(grant, choice, signed)
        status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
        rp_id = self._request.app[SITE].rp_id
        return self._views.signing(page, status, shown=form.text("shown"), reason=reason, rp_id=rp_id, problem=problem)

    async def _review(
        self, grant: GrantView, choice: StepChoice, decision: Decision, reason: str, signature: str | None = None
    ) -> web.StreamResponse:
        username, cluster = self._source.me.username, self._source.cluster
        try:
            changed = await self._send(
                grant, lambda: reviews.add_review(cluster, grant, username, choice, decision, reason, signature)
            )
        except UserError as error:
            return await self._not_written(grant, error, TypedText(reason=reason))
        open_steps = ", ".join(visible(one.name) for one in changed.steps if not one.met)
        more = f" It still needs {open_steps}." if decision == "Approve" and open_steps else ""
        return self._done(grant, f"You {_DONE[decision]} it.{more}", _DONE[decision])

    async def _wrong(self, grant: GrantView, reason: str, problem: str) -> web.Response:
        return await self._again(grant, HTTPStatus.UNPROCESSABLE_ENTITY, TypedText(reason=reason, problem=problem))

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """Take back the grant that was shown."""
        form = await read_form(request)
        grant = self._grant_of_form(request, form)
        if isinstance(grant, web.Response):
            return grant
        reason = form.text("reason").strip()
        given = TypedText(revoking=reason)
        if not reason:
            given = TypedText(problem="Give a reason, for the record.")
            return await self._again(grant, HTTPStatus.UNPROCESSABLE_ENTITY, given)
        try:
            now = await self._send(
                grant, lambda: reviews.add_revocation(self._source.cluster, grant, self._source.me.username, reason)
            )
        except UserError as error:
            return await self._not_written(grant, error, given)
        done = "withdrew" if now.phase == "Withdrawn" else "revoked"
        used = f" {now.uses} of {now.max_uses} uses were made." if now.uses else ""
        return self._done(grant, f"You {done} it.{used}", done)

    def _grant_of_form(self, request: web.Request, form: PostedForm) -> GrantView | web.Response:
        """Return the grant that the form is about, as it was shown; else the answer that says why there is none."""
        if not self._memory.sent(form.text("token")):
            raise web.HTTPForbidden(reason="The form is not one of this visit")
        found = self._memory.shown(form.text("shown"))
        asked = (request.match_info["namespace"], request.match_info["name"])
        if found is None:
            raw = {"metadata": {"namespace": visible(asked[0]), "name": visible(asked[1])}}
            return self._views.changed(GrantView(raw, 0.0), _FORGOTTEN, form.text("reason"))
        grant = found.grant
        if (grant.namespace, grant.name) != asked or form.text("binding") != grant.binding:
            return self._views.changed(grant, "The form is not of the grant that was shown.", form.text("reason"))
        return grant

    async def _send(self, grant: GrantView, write: Callable[[], GrantView]) -> GrantView:
        """Send a change. Where the console is ended before the answer, its terminal says so."""
        try:
            return await self._threads.run(write)
        except asyncio.CancelledError:
            named = f"{visible(grant.name)} in {visible(grant.namespace)}"
            talk(f"The API server has not answered yet about {named}: look again to see whether the change was made.")
            raise

    async def _not_written(self, grant: GrantView, error: UserError, given: TypedText) -> web.Response:
        heard(self._request, error)
        if isinstance(error, ChangedGrantError):
            what = "another request now" if error.now.uid != grant.uid else visible(error.now.phase)
            told = f"It changed after the page was shown: it is {what}."
            stands = _stands(grant, error.now, self._source.me.username)
            return self._views.changed(grant, told, given.reason or given.revoking, stands)
        if isinstance(error, UnsentError):
            given = TypedText(given.reason, given.revoking, problem=f"It was not sent: {error}.")
            return self._bare(grant, HTTPStatus.SERVICE_UNAVAILABLE, given)
        if isinstance(error, ApiError) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            refused = HTTPStatus.FORBIDDEN if error.status == HTTPStatus.FORBIDDEN else HTTPStatus.UNPROCESSABLE_ENTITY
            return await self._again(grant, refused, TypedText(given.reason, given.revoking, problem=str(error)))
        given = TypedText(given.reason, given.revoking, unsure=f"{error}.")
        return self._bare(grant, HTTPStatus.BAD_GATEWAY, given)

    async def _again(self, grant: GrantView, status: HTTPStatus, given: TypedText) -> web.Response:
        """Show the grant as it was shown before, with what was typed; nothing new is needed for that."""
        now = _now(grant)
        try:
            page = await self._threads.run(lambda: compose(now, self._source.context(now)))
        except UserError as error:
            return self._bare(grant, status, given, str(error))
        return self._views.grant(page, status, given)

    def _bare(
        self, grant: GrantView, status: HTTPStatus, given: TypedText, why: str = "the API server was not asked again"
    ) -> web.Response:
        """Show it without asking the API server: one that is silent or busy costs no person their words."""
        context = PageContext(self._source.me, None, None, {}, dict.fromkeys(("grants", "policies"), why))
        return self._views.grant(compose(_now(grant), context), status, given)

    def _done(self, grant: GrantView, told: str, done: str) -> web.Response:
        me = self._source.me
        talk(f"{visible(me.username)} {done} {visible(grant.name)} in {visible(grant.namespace)}")
        self._memory.notify(grant.uid, f"{visible(grant.name)}: {told}")
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": here(grant)})


def _now(grant: GrantView) -> GrantView:
    """Return the same object at the present time: what ended since it was shown is said to have ended."""
    return GrantView(grant.raw, time.time())


def _stands(before: GrantView, now: GrantView, username: str) -> str:
    """Return what the person wrote into a grant that was shown without it; nothing where there is none.

    An answer that was lost leaves it so: the review stands, and the page that is sent again is of before.
    """
    if now.uid != before.uid:
        return ""
    mine = [review for review in now.reviews if review["reviewer"] == username]
    if mine and not any(review["reviewer"] == username for review in before.reviews):
        return f"Your review stands in it: {visible(mine[0]['decision'])}, for the step {visible(mine[0]['step'])}."
    revocation = now.raw["spec"].get("revocation")
    if revocation is not None and revocation["by"] == username and before.raw["spec"].get("revocation") is None:
        return "Your revocation stands in it."
    return ""
