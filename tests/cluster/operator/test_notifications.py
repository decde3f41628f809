"""Notifications of a real operator, to a receiver that listens: what is told, to whom, and what never is."""

import base64
import json
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks.webhooks import Webhook

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.guards import REVIEW
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import NewOperator, Operator
from support.callers import Callers
from support.guards.sabotage import Guards
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, later
from support.receiver import Receiver
from support.waits import until

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
NEVER_TOLD = "never-told-of"
"""In arguments, display values and reasons of the grants of these tests."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def hanging() -> Iterator[Receiver]:
    with Receiver(hangs=True) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def flaky() -> Iterator[Receiver]:
    with Receiver(503, 429, 500) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def targets(receiver: Receiver, hanging: Receiver, flaky: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installation's: one that takes all, one that hangs, and one by Apprise."""
    folder = tmp_path_factory.mktemp("targets")
    (folder / "audit").write_text(f"cloudevents+http://127.0.0.1:{receiver.port}/audit")
    (folder / "audit.secret").write_text(SECRET)
    (folder / "hanging").write_text(f"cloudevents+http://127.0.0.1:{hanging.port}/")
    (folder / "hanging.secret").write_text(SECRET)
    (folder / "flaky").write_text(f"cloudevents+http://127.0.0.1:{flaky.port}/")
    (folder / "flaky.secret").write_text(SECRET)
    (folder / "chat").write_text(f"json://127.0.0.1:{receiver.port}/chat\n")
    (folder / "files").write_text("file:///etc/passwd")
    return folder


@pytest.fixture(scope="module")
def lowered(targets: Path, health_port: int) -> Sequence[str]:
    return (
        *("--proof-interval", "3", f"--notifications-dir={targets}", "--console-url=https://console.example/"),
        *("--notify-namespaces=true", "--notify-allowed-cidr=127.0.0.1/32", "--notify-per-minute=1000"),
        f"--health-port={health_port}",
    )


def name(grant: Object) -> str:
    return f"{grant['metadata']['namespace']}/{grant['metadata']['name']}"


def secretive(grants: Grants, **request: object) -> Object:
    """Open a grant that is full of what nobody is told."""
    display = [{"name": "context.args.iban", "value": NEVER_TOLD}]
    return grants.open(display=display, reason=f"{NEVER_TOLD} to anybody", **request)


def put_targets(callers: Callers, namespace: str, **entries: str) -> None:
    """Write the Secret of a namespace, as its owner."""
    metadata = {"name": "bailiwick-notifications", "namespace": namespace}
    accepted(callers.admin.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": entries}))


class TestAGrant:
    def test_that_waits_and_is_approved_is_told_of(
        self, operator: Operator, grants: Grants, receiver: Receiver
    ) -> None:
        grant = secretive(grants)
        receiver.await_types(name(grant), "grant.pending")
        accepted(grants.review(grant, reason=NEVER_TOLD))
        receiver.await_types(name(grant), "grant.pending", "grant.approved")
        pending, approved = (one for one in receiver.events() if one.get("subject") == name(grant))
        uid = grant["metadata"]["uid"]
        assert pending["data"]["url"] == f"https://console.example/grants/{name(grant)}?uid={uid}"
        assert pending["data"]["grant"]["until"] == grant["spec"]["request"]["pendingUntilTime"]
        assert approved["data"]["grant"]["reviewers"] == ["dave"]

    def test_that_is_denied_is_told_of(self, operator: Operator, grants: Grants, receiver: Receiver) -> None:
        grant = secretive(grants)
        receiver.await_types(name(grant), "grant.pending")
        accepted(grants.review(grant, "erin", decision="Deny", reason=NEVER_TOLD))
        receiver.await_types(name(grant), "grant.pending", "grant.denied")

    def test_that_is_revoked_is_told_of(self, operator: Operator, grants: Grants, receiver: Receiver) -> None:
        grant = grants.approved()
        receiver.await_types(name(grant), "grant.pending", "grant.approved")
        accepted(grants.revoke(grant))
        receiver.await_types(name(grant), "grant.pending", "grant.approved", "grant.revoked")

    @pytest.mark.long
    def test_that_nobody_answers_is_told_of_before_its_end(
        self, operator: Operator, grants: Grants, receiver: Receiver
    ) -> None:
        grant = secretive(grants, pendingUntilTime=later(seconds=40))
        receiver.await_types(name(grant), "grant.pending")
        receiver.await_types(name(grant), "grant.pending", "grant.ending", seconds=60)
        assert grants.phase(grant) == "Pending"

    @pytest.mark.long
    def test_is_told_of_through_apprise_too(self, operator: Operator, grants: Grants, receiver: Receiver) -> None:
        grant = secretive(grants)

        def told() -> list[str]:
            chat = [one.json for one in receiver.received if one.path == "/chat"]
            return [one["title"] for one in chat if f"Grant: {name(grant)}\n" in one["message"]]

        until(told, "the service is told")
        assert told() == ["Approval requested: customers.export on customer/42"]


def test_a_receiver_that_hangs_delays_neither_a_reconcile_nor_another_target(
    operator: Operator, grants: Grants, receiver: Receiver, hanging: Receiver
) -> None:
    first = grants.open()
    until(lambda: hanging.received, "the target that hangs is called")
    grants.await_phase(first, "Pending")
    for _ in range(5):
        grant = grants.approved()
        receiver.await_types(name(grant), "grant.pending", "grant.approved")


def test_what_a_receiver_did_not_take_is_sent_again_by_the_same_id_until_it_does(
    operator: Operator, grants: Grants, flaky: Receiver
) -> None:
    grants.open()
    until(lambda: len(flaky.received) >= 4, "it is sent until it is taken", 60)
    first = [one.headers["webhook-id"] for one in flaky.received[:4]]
    assert len(set(first)) == 1


def test_what_comes_is_a_cloudevent_that_is_signed(operator: Operator, grants: Grants, receiver: Receiver) -> None:
    """By libraries that somebody else wrote."""
    grant = secretive(grants)
    receiver.await_types(name(grant), "grant.pending")
    came = [one for one in receiver.received if one.path == "/audit" and name(grant) in one.body.decode()]
    assert came
    for one in came:
        Webhook(SECRET).verify(one.body, dict(one.headers))
        event = from_http_event(HTTPMessage({key.lower(): value for key, value in one.headers.items()}, one.body))
        assert event.get_specversion() == "1.0"
        assert event.get_source() == "/bailiwick/bailiwick-system"
        assert event.get_id() == one.headers["webhook-id"]


class TestANamespace:
    @pytest.mark.long
    def test_hears_of_its_own_grants_alone_and_only_with_the_right(
        self, operator: Operator, grants: Grants, callers: Callers, installed: Installation, receiver: Receiver
    ) -> None:
        with Receiver() as own:
            secret = {"team": f"cloudevents+http://127.0.0.1:{own.port}/", "team.secret": SECRET}
            put_targets(callers, grants.namespace, **secret)
            unread = grants.open()
            receiver.await_types(name(unread), "grant.pending")
            until(lambda: self._said(operator, grants, "the operator has no right to get this Secret"), "it is told")
            Roles(callers.admin, grants.namespace).bind("bailiwick-notifications", installed.operator)

            def told() -> bool:
                # What was read is kept for half a minute.
                grants.open()
                return bool(own.received)

            until(told, "the namespace's own target is told", 60)
            assert {one["data"]["grant"]["namespace"] for one in own.events()} == {grants.namespace}
            assert all(one["type"] == "dev.bailiwick.grant.pending" for one in own.events())

    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("cloudevents+http://127.0.0.2:{port}/", "it is not public"),
            ("json://127.0.0.2:{port}/", "it is not public"),
            ("cloudevents+http://[::ffff:127.0.0.2]:{port}/", "it is not public"),
            ("cloudevents+http://169.254.169.254/latest/meta-data/", "it is link-local"),
            ("jsons://10.96.0.1/", "it is not public"),
        ],
        ids=["loopback", "loopback by Apprise", "loopback in IPv6", "metadata", "the API server"],
    )
    def test_calls_no_address_that_is_not_public(
        self, url: str, why: str, operator: Operator, grants: Grants, callers: Callers, installed: Installation
    ) -> None:
        Roles(callers.admin, grants.namespace).bind("bailiwick-notifications", installed.operator)
        with Receiver(host="127.0.0.2") as forbidden:
            secret = {} if "json" in url else {"team.secret": SECRET}
            put_targets(callers, grants.namespace, team=url.format(port=forbidden.port), **secret)
            grants.open()
            until(lambda: self._said(operator, grants, why), "the operator says why")
            assert forbidden.received == []

    @staticmethod
    def _said(operator: Operator, grants: Grants, why: str) -> bool:
        mine = (entry for entry in operator.entries() if entry.get("namespace") == grants.namespace)
        return any(why in str(entry.get("why")) for entry in mine)


def test_a_loose_guard_and_its_return_are_told_of(
    operator: Operator, callers: Callers, installed: Installation, receiver: Receiver
) -> None:
    guards = Guards(callers, installed)

    def told() -> list[str]:
        return [one["type"].rpartition(".")[2] for one in receiver.events() if ".guard." in one["type"]]

    try:
        guards.loosen(REVIEW)
        until(lambda: "unproven" in told(), "it is told that the guard is loose")
    finally:
        guards.restore()
        guards.await_recorded()
    until(lambda: "proven" in told(), "it is told that the guard is back")


def test_a_target_that_is_refused_is_named_in_the_log_and_in_the_health(operator: Operator, health_port: int) -> None:
    (refused,) = [one for one in operator.said("a target of notifications is not used") if one["target"] == "files"]
    assert "the scheme is none of those that are allowed" in refused["why"]
    with urllib.request.urlopen(f"http://127.0.0.1:{health_port}/healthz") as answer:
        assert json.load(answer)["notifications"].startswith("target files is not used: the scheme")


def test_counts_what_came_of_them(operator: Operator, grants: Grants, receiver: Receiver, health_port: int) -> None:
    grant = grants.open()
    receiver.await_types(name(grant), "grant.pending")

    def delivered() -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{health_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        wanted = 'bailiwick_operator_notifications_total{outcome="delivered",scope="installation"} '
        return next(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))

    until(delivered, "it is counted")


def test_nothing_that_is_secret_is_told_or_logged(operator: Operator, grants: Grants, receiver: Receiver) -> None:
    grant = secretive(grants)
    receiver.await_types(name(grant), "grant.pending")
    digest = grant["spec"]["request"]["binding"]["digest"].removeprefix("sha256:")
    for one in receiver.received:
        said = one.body.decode() + str(one.headers)
        assert NEVER_TOLD not in said
        assert digest not in said
        assert "Authorization" not in one.headers
        assert "Cookie" not in one.headers
    log = operator.log.read_text()
    assert SECRET not in log
    assert f"127.0.0.1:{receiver.port}" not in log


@pytest.mark.long
def test_a_successor_tells_what_was_not_told_and_does_not_flood(
    operator: Operator, new_operator: NewOperator, grants: Grants, receiver: Receiver, tmp_path: Path
) -> None:
    operator.kill()
    try:
        with Receiver() as own:
            (tmp_path / "own").write_text(f"cloudevents+http://127.0.0.1:{own.port}/")
            (tmp_path / "own.secret").write_text(SECRET)
            flags = (f"--notifications-dir={tmp_path}", "--notify-per-minute=2")
            with new_operator(*flags) as first:
                grant = grants.open()
                until(lambda: receiver_has(own, grant), "the first operator tells, if by a digest", 90)
                ids = {one.headers["webhook-id"] for one in own.received if name(grant) in one.body.decode()}
                unseen = len(own.received)
                first.kill()
            # While nobody leads.
            later_on = [grants.open() for _ in range(10)]
            with new_operator(*flags):
                for one in later_on:
                    grants.await_phase(one, "Pending")
                until(lambda: any(e["type"] == "dev.bailiwick.digest" for e in own.events()[unseen:]), "a digest", 90)
            again = own.events()[unseen:]
            assert len([one for one in again if one["type"] != "dev.bailiwick.digest"]) <= 4
            counts = [one["data"].get("counts", {}) for one in again]
            counted = sum(one.get("dev.bailiwick.grant.pending", 0) for one in counts)
            alone = sum(one["type"] == "dev.bailiwick.grant.pending" for one in again)
            assert counted + alone >= 10
            assert {one["id"] for one in again if one.get("subject") == name(grant)} <= ids
    finally:
        operator.start().await_leading()


def receiver_has(own: Receiver, grant: Object) -> bool:
    return bool(own.types(name(grant))) or any(one["type"] == "dev.bailiwick.digest" for one in own.events())
