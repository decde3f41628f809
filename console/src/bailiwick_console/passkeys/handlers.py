"""The three pages of a registration: make a passkey, sign the line that enrols it, and have both as a text to send.

Holds: nothing is stored and nothing is written: what a step needs of the one before, its form brings, and it is read
and verified again.
"""

from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import web

from bailiwick_console.markup.pages import typed_markup
from bailiwick_console.visits.forms import PostedForm, read_form
from bailiwick_console.visits.visitor import SITE, VISITOR
from bailiwick_engine.signatures.publickey import PublicKey
from bailiwick_engine.signatures.statement import ENROL_NAMESPACE
from bailiwick_governance.errors import UserError
from bailiwick_governance.signing.enrolment import enrolment_line, enrolment_message, parse_enrolment
from bailiwick_governance.signing.passkeys import (
    PasskeyAssertion,
    PasskeyError,
    passkey_challenge,
    passkey_key,
    passkey_signature,
)

_PATH = "/passkeys"
_COMMENT = "passkey"


def routes() -> list[web.RouteDef]:
    """Return the paths."""
    return [
        web.get(_PATH, _first),
        web.post(f"{_PATH}/proof", _prove),
        web.post(f"{_PATH}/request", _finish),
    ]


async def _first(request: web.Request) -> web.StreamResponse:
    """Offer to make a passkey."""
    return _offer(request)


async def _prove(request: web.Request) -> web.StreamResponse:
    """Show the line of a passkey that was made, to be signed by it."""
    form = await _form(request)
    try:
        key, line = _enrolled(request, form)
    except (PasskeyError, UserError) as error:
        return _offer(request, str(error))
    return _ask_proof(request, form, key, line)


async def _finish(request: web.Request) -> web.StreamResponse:
    """Show what to send to a registrar."""
    form = await _form(request)
    try:
        key, line = _enrolled(request, form)
    except (PasskeyError, UserError) as error:
        return _offer(request, str(error))
    try:
        assertion = PasskeyAssertion.parse(*(form.text(name) for name in ("authenticator", "client", "signature")))
        if assertion.origin != request.app[SITE].origin:
            raise PasskeyError("the passkey was not used on this page")
        proof = passkey_signature(assertion, (key,), ENROL_NAMESPACE, enrolment_message(line))
        if proof is None:
            raise PasskeyError("another passkey signed, or it signed something else: choose the one that you just made")
        enrolment = parse_enrolment(f"{line}\n{proof}")
    except (PasskeyError, UserError) as error:
        return _ask_proof(request, form, key, line, str(error))
    return request[VISITOR].views.page(
        "enrolment.html", HTTPStatus.OK, enrolment=typed_markup(str(enrolment)), fingerprint=key.fingerprint
    )


def _offer(request: web.Request, problem: str = "") -> web.Response:
    visitor = request[VISITOR]
    # Several of one person differ by it where a browser lists them.
    label = f"{visitor.source.me.username} ({datetime.now(UTC):%Y-%m-%d})"
    return visitor.views.page(
        "passkeys.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        rp_id=request.app[SITE].rp_id,
        label=label,
        form_token=visitor.memory.form_token,
        problem=problem,
    )


def _ask_proof(request: web.Request, form: PostedForm, key: PublicKey, line: str, problem: str = "") -> web.Response:
    visitor = request[VISITOR]
    return visitor.views.page(
        "proof.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        rp_id=request.app[SITE].rp_id,
        challenge=passkey_challenge(ENROL_NAMESPACE, enrolment_message(line)),
        line=line,
        fingerprint=key.fingerprint,
        key=form.text("key"),
        form_token=visitor.memory.form_token,
        problem=problem,
    )


def _enrolled(request: web.Request, form: PostedForm) -> tuple[PublicKey, str]:
    """Return the key of a form, and the line that enrols it for the person. Raises `PasskeyError` and `UserError`."""
    rp_id = request.app[SITE].rp_id
    if rp_id is None:
        raise PasskeyError("there are no passkeys here")
    key = passkey_key(form.text("key"), rp_id)
    return key, enrolment_line(request[VISITOR].source.me.username, key, _COMMENT)


async def _form(request: web.Request) -> PostedForm:
    form = await read_form(request)
    if not request[VISITOR].memory.sent(form.text("token")):
        raise web.HTTPForbidden(reason="The form is not one of this visit")
    return form
