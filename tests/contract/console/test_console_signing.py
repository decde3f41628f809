"""An approval of a step that asks for a signature, and a registration, as a browser with a passkey sends them.

Holds: `ssh-keygen -Y verify` judges what is written, not the code that wrote it.
"""

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_engine.signatures.registrars import Registrars, parse_registrars
from bailiwick_governance.errors import ApiError
from bailiwick_governance.signing.enrolment import parse_enrolment
from support.console.inprocess import CAROL, ServedConsole, TableCluster, served
from support.console.plainhttp import Page, Visit, form_of
from support.console.softpasskey import PRESENT, SoftPasskey
from support.objects import Object
from support.signing.sshkeygen import SshOracle, made_key, public_line
from support.signing.storedkeys import NAME, config_map, passkey_line
from unit.console.cases import waiting
from unit.governance.cases import OWNERS, step

GRANT: Final = "/grants/crm/agr-wanted"
WHY: Final = "seen with <the> customer\nand twice \u00e9"
SIGNED: Final = {**OWNERS, "signature": "Required"}


@pytest.fixture(scope="module")
def registrar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_key(tmp_path_factory.mktemp("registrar") / "key")


@pytest.fixture(scope="module")
def passkey() -> SoftPasskey:
    return SoftPasskey()


def signed_grant(name: str = "agr-wanted", **fields: Any) -> Object:  # noqa: ANN401 - as `waiting`
    raw = waiting(**{"steps": [step(SIGNED)], **fields})
    raw["metadata"] |= {"name": name, "uid": f"{name}-uid"}
    return raw


@pytest.fixture
def console(registrar: Path, passkey: SoftPasskey) -> Iterator[ServedConsole]:
    """A console before two grants that need a signature, which knows carol's passkey."""
    cluster = TableCluster([signed_grant(), signed_grant("agr-other")])
    cluster.config_maps[NAME] = config_map(passkey_line("carol", passkey), registrar=registrar)
    with served(cluster=cluster) as console:
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def asked(visit: Visit, grant: str = GRANT, **typed: str) -> Page:
    """Press Approve, and return the page that asks for a signature."""
    return visit.post(f"{grant}/review", form_of(visit.get(grant), **{"reason": WHY, **typed}))


def challenge(page: Page) -> bytes:
    found = re.search(r'data-challenge="([^"]+)"', page.text)
    assert found, page
    return base64.b64decode(found[1])


def fields(page: Page) -> dict[str, str]:
    """Return the hidden fields of a page as a browser sends them."""
    found = re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in found}


def origin(visit: Visit) -> str:
    return f"http://{visit.site.host}"


def answered(visit: Visit, page: Page, passkey: SoftPasskey, **answer: Any) -> dict[str, str]:  # noqa: ANN401 - as `answer`
    """Return the form of a page once a passkey has answered it."""
    given = {"challenge": challenge(page), "origin": origin(visit), **answer}
    return {**fields(page), **passkey.answer(**given)}


def reviews(console: ServedConsole) -> list[Mapping[str, Any]]:
    return [body[-1]["value"] for _, body in console.cluster.written]


def shown_statement(page: Page) -> dict[str, str]:
    """Return the statement as the page shows it."""
    rows = re.findall(r"<dt><bdi[^>]*>([^<]*)</bdi></dt><dd><bdi[^>]*>([^<]*)</bdi>", page.text)
    return {name: html.unescape(value) for name, value in rows}


@pytest.mark.invariant(30)
def test_what_is_written_is_signed_by_the_passkey_over_what_the_page_showed(
    console: ServedConsole, visit: Visit, passkey: SoftPasskey, tmp_path: Path
) -> None:
    page = asked(visit)
    assert (page.status, reviews(console)) == (200, [])
    done = visit.post(f"{GRANT}/sign", answered(visit, page, passkey))
    assert (done.status, done.headers["location"]) == (303, GRANT), done
    (review,) = reviews(console)
    assert (review["reviewer"], review["decision"], review["reason"]) == ("carol", "Approve", WHY)
    statement = shown_statement(page)
    assert {"grant": "agr-wanted", "step": OWNERS["name"], "reviewer": "carol", "decision": "Approve"}.items() <= (
        statement.items()
    )
    signed = json.dumps(statement, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    oracle = SshOracle(tmp_path, f"{passkey_line('carol', passkey)}\n")
    assert oracle.accepts("carol", "review@bailiwick.dev", signed, review["signature"])
    assert not oracle.accepts("carol", "enrol@bailiwick.dev", signed, review["signature"])


FORGED: Final[dict[str, dict[str, Any]]] = {
    "another statement": {"challenge": b"SSHSIG of something else"},
    "another RP": {"rp_id": "bailiwick.example.com"},
    "a page of another origin": {"origin": "http://r1.bailiwick.localhost:1"},
    "a user who was not verified": {"flags": PRESENT},
    "a user who was not there": {"flags": 0},
    "a registration": {"kind": "webauthn.create"},
    "a frame": {"crossOrigin": True},
}


@pytest.mark.invariant(30)
@pytest.mark.parametrize("answer", FORGED.values(), ids=FORGED)
def test_an_answer_that_would_not_count_is_not_written_and_the_words_are_kept(
    console: ServedConsole, visit: Visit, passkey: SoftPasskey, answer: dict[str, Any]
) -> None:
    page = asked(visit)
    refused = visit.post(f"{GRANT}/sign", answered(visit, page, passkey, **answer))
    assert (refused.status, reviews(console)) == (422, [])
    assert "Nothing was written." in refused.text
    # From there, it is signed after all.
    assert fields(refused)["reason"] == WHY
    assert visit.post(f"{GRANT}/sign", answered(visit, refused, passkey)).status == 303


@pytest.mark.invariant(30)
def test_a_signature_of_one_grant_is_none_of_another(
    console: ServedConsole, visit: Visit, passkey: SoftPasskey
) -> None:
    page, other = asked(visit), asked(visit, "/grants/crm/agr-other")
    assert challenge(page) != challenge(other)
    replayed = {**answered(visit, page, passkey), **{name: fields(other)[name] for name in ("shown", "binding")}}
    refused = visit.post("/grants/crm/agr-other/sign", replayed)
    assert (refused.status, reviews(console)) == (422, [])
    assert "signed this statement" in refused.text
    # Nor does the form of one grant do for the path of another.
    assert visit.post("/grants/crm/agr-other/sign", answered(visit, page, passkey)).status == 409


@pytest.mark.parametrize("changed", [{"reason": "other words"}, {"authenticator": "AAAA"}, {"signature": ""}])
def test_what_is_changed_between_the_page_and_the_writing_is_not_signed(
    console: ServedConsole, visit: Visit, passkey: SoftPasskey, changed: dict[str, str]
) -> None:
    refused = visit.post(f"{GRANT}/sign", {**answered(visit, asked(visit), passkey), **changed})
    assert (refused.status, reviews(console)) == (422, [])


@pytest.mark.invariant(30)
def test_a_passkey_of_somebody_else_or_of_nobody_signs_nothing(
    console: ServedConsole, visit: Visit, registrar: Path
) -> None:
    stranger, dave = SoftPasskey(), SoftPasskey()
    console.cluster.config_maps[NAME] = config_map(passkey_line("dave", dave), registrar=registrar)
    for one in (stranger, dave):
        refused = visit.post(f"{GRANT}/sign", answered(visit, asked(visit), one))
        assert (refused.status, reviews(console)) == (422, [])
        assert "no passkey that is enrolled for you" in refused.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ApiError("no", 403), "you may not read ConfigMap bailiwick-reviewers"),
        (ApiError("no", 404), "there is no ConfigMap bailiwick-reviewers"),
        (ApiError("it fails", 500), "it fails"),
    ],
    ids=["forbidden", "missing", "failing"],
)
def test_where_the_keys_cannot_be_read_nothing_is_written_and_the_page_says_why(
    console: ServedConsole, visit: Visit, passkey: SoftPasskey, error: ApiError, said: str
) -> None:
    page = asked(visit)
    console.cluster.fails = lambda _, path: error if path.endswith(NAME) else None
    refused = visit.post(f"{GRANT}/sign", answered(visit, page, passkey))
    assert (refused.status, said in html.unescape(refused.text), reviews(console)) == (422, True, [])


def test_a_no_needs_no_signature_and_neither_do_several(console: ServedConsole, visit: Visit) -> None:
    denied = visit.post(f"{GRANT}/review", {**form_of(visit.get(GRANT), deny=str(OWNERS["name"])), "reason": ""})
    assert denied.status == 303
    listed = visit.get("/")
    marked = re.findall(r'name="grant" value="([^"]+agr-other[^"]+)"', listed.text)
    chosen = visit.post("/bulk/choose", {"token": listed.field("token"), "list": "review", "grant": marked[0]})
    assert "approve" not in chosen.text.lower().partition("<main")[2]
    several = {"token": chosen.field("token"), "shown": chosen.field("shown"), "reason": ""}
    assert visit.post("/bulk/deny", several).status == 200
    assert [("signature" in one, one["decision"]) for one in reviews(console)] == [(False, "Deny")] * 2


def test_a_step_without_a_signature_is_approved_as_ever(console: ServedConsole, visit: Visit) -> None:
    console.cluster.grants[:] = [waiting()]
    assert visit.post(f"{GRANT}/review", form_of(visit.get(GRANT))).status == 303
    assert ["signature" in one for one in reviews(console)] == [False]


@pytest.mark.parametrize("path", ["/passkeys/proof", "/passkeys/request", f"{GRANT}/sign"])
def test_a_form_that_is_not_of_the_visit_is_refused(console: ServedConsole, visit: Visit, path: str) -> None:
    answer = visit.post(path, {**form_of(visit.get(GRANT)), "token": "guessed"})
    assert (answer.status, console.cluster.written) == (403, [])


def test_a_grants_page_says_of_each_review_by_which_key_it_is_signed_and_if_that_was_verified(
    console: ServedConsole, visit: Visit, passkey: SoftPasskey, registrar: Path
) -> None:
    visit.post(f"{GRANT}/sign", answered(visit, asked(visit), passkey))
    shown = html.unescape(re.sub(r"<[^>]+>", "", visit.get(GRANT).text))
    fingerprint = re.search(r"signed by (SHA256:\S+)", shown)
    assert fingerprint, shown
    # This console was not given the registrars' keys.
    assert "(verified by keys that no registrar known here has signed)" in shown
    console.cluster.config_maps[NAME] = config_map(registrar=registrar)
    assert f"(not verified: key {fingerprint[1]} is not enrolled for carol" in html.unescape(
        re.sub(r"<[^>]+>", "", visit.get(GRANT).text)
    )
    del console.cluster.config_maps[NAME]
    assert "whose key it is, is not known here: there is no ConfigMap bailiwick-reviewers" in html.unescape(
        re.sub(r"<[^>]+>", "", visit.get(GRANT).text)
    )


def test_where_the_registrars_are_known_their_signature_is_asked_for_too(passkey: SoftPasskey, tmp_path: Path) -> None:
    ours, other = made_key(tmp_path / "ours"), made_key(tmp_path / "other")
    known = Registrars(parse_registrars(public_line(ours)), 1, None)
    cluster = TableCluster([signed_grant()])
    with served(cluster=cluster, registrars=known) as console:
        visit = console.site.visit()
        cluster.config_maps[NAME] = config_map(passkey_line("carol", passkey), registrar=other)
        refused = visit.post(f"{GRANT}/sign", answered(visit, asked(visit), passkey))
        assert (refused.status, "registrars who signed it: 0, but 1 must" in refused.text, reviews(console)) == (
            422,
            True,
            [],
        )
        cluster.config_maps[NAME] = config_map(passkey_line("carol", passkey), registrar=ours)
        assert visit.post(f"{GRANT}/sign", answered(visit, refused, passkey)).status == 303
        assert "(verified)" in visit.get(GRANT).text


def test_a_registration_yields_a_line_and_a_proof_and_writes_nothing(
    console: ServedConsole, visit: Visit, tmp_path: Path
) -> None:
    passkey = SoftPasskey()
    first = visit.get("/passkeys")
    assert 'data-user-name="carol (' in first.text
    second = visit.post("/passkeys/proof", {**fields(first), "key": passkey.spki})
    assert passkey_line("carol", passkey) in html.unescape(second.text)
    third = visit.post("/passkeys/request", answered(visit, second, passkey))
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", third.text, re.DOTALL)
    assert found, third
    line, _, proof = html.unescape(found[1]).partition("\n")
    oracle = SshOracle(tmp_path, line.replace("review@", "enrol@") + "\n")
    assert oracle.accepts("carol", "enrol@bailiwick.dev", f"{line}\n".encode(), proof)
    assert parse_enrolment(html.unescape(found[1])).key.principal == "carol"
    assert (console.cluster.written, {method for method, _ in console.cluster.asked} <= {"GET"}) == ([], True)


@pytest.mark.parametrize("value", ["", "AAAA"])
def test_what_is_no_passkey_is_not_registered(visit: Visit, value: str) -> None:
    answer = visit.post("/passkeys/proof", {**fields(visit.get("/passkeys")), "key": value})
    assert (answer.status, "There is no passkey yet." in answer.text) == (422, True)


@pytest.mark.parametrize("answer", [{"origin": "http://r1.bailiwick.localhost:1"}, {"challenge": b"SSHSIG"}])
def test_an_answer_that_is_not_of_the_page_proves_nothing(visit: Visit, answer: dict[str, Any]) -> None:
    passkey = SoftPasskey()
    second = visit.post("/passkeys/proof", {**fields(visit.get("/passkeys")), "key": passkey.spki})
    refused = visit.post("/passkeys/request", answered(visit, second, passkey, **answer))
    assert (refused.status, "There is no proof yet." in refused.text) == (422, True)
    assert visit.post("/passkeys/request", answered(visit, refused, passkey)).status == 200


def test_another_passkey_than_the_new_one_proves_nothing(visit: Visit) -> None:
    second = visit.post("/passkeys/proof", {**fields(visit.get("/passkeys")), "key": SoftPasskey().spki})
    answer = visit.post("/passkeys/request", answered(visit, second, SoftPasskey()))
    assert (answer.status, "another passkey signed" in answer.text) == (422, True)


def test_a_name_that_no_file_of_keys_can_have_is_not_registered(registrar: Path) -> None:
    me = type(CAROL)("carol of crm", ("crm-owners",))
    with served(signed_grant(), me=me) as console:
        visit = console.site.visit()
        answer = visit.post("/passkeys/proof", {**fields(visit.get("/passkeys")), "key": SoftPasskey().spki})
    assert (answer.status, "cannot be enrolled" in answer.text) == (422, True)
