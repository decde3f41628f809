"""What a message says, and what it never says, whatever somebody wrote into a grant."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick_api.times import stamp
from bailiwick_notifications.cloudevent import event_body
from bailiwick_notifications.grantevents import grant_events
from bailiwick_notifications.notification import Notification, NotificationType, inert, installation_notification
from bailiwick_notifications.words import MOST_MESSAGE, MOST_TITLE, MessageText, message, view_hint
from support.objects import Object, opened_grant

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    "<!channel> <https://evil.example|Approve here>",
    "[Approve](https://evil.example)",
    "@everyone @here @channel",
    "\u202egnp.exe",
    "a\u200bb\u0000c\r\nFor: mallory",
    "`rm -rf`",
    "&lt;b&gt;",
    "x" * 10_000,
    "\U0001f600" * 300,
)


def length(said: MessageText) -> int:
    """Return how long a message is where a service has no title: Apprise joins both."""
    return len(f"{said.title}\r\n{said.body}")


def notification_of(**request: object) -> Notification:
    body = opened_grant("crm", pendingUntilTime=stamp(NOW + timedelta(hours=1)))
    body["spec"]["request"] |= request
    body["metadata"] |= {"uid": "uid-1", "creationTimestamp": stamp(NOW)}
    body["status"] = {"phase": "Pending", "conditions": [{"type": "Ready", "lastTransitionTime": stamp(NOW)}]}
    return grant_events(body, NOW).due[0].notification


def test_says_who_asks_for_whom_through_whom_what_and_until_when() -> None:
    text = message(notification_of(actors=[{"id": "agents/crm-agent"}], subject={"type": "user", "id": "alice"}), None)
    assert text.title == "Approval requested: customers.export on customer/42"
    assert text.body.splitlines() == [
        "Grant: crm/agr-wanted",
        "Endpoint: crm-api.crm",
        "Asked by: system:serviceaccount:crm:crm-api",
        "For: alice",
        "Through: agents/crm-agent",
        "Action: customers.export",
        "Resource: customer/42",
        "Waits until: 2026-11-27T13:00:00Z",
        "Look: kubectl bailiwick show agr-wanted -n crm",
        "This message shows only a part of the call. Read all of it before you decide.",
        "This message cannot approve anything.",
    ]


def test_links_to_the_console_where_there_is_one() -> None:
    page = "https://console.example/grants/crm/agr-wanted"
    assert view_hint(notification_of(), "https://console.example").url == f"{page}?uid=uid-1"
    assert view_hint(notification_of(), "https://console.example").command is None


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("place_", ["action", "resource", "subject", "requester"])
def test_nothing_in_a_text_of_others_is_markup_unseen_or_long(text: str, place_: str) -> None:
    values: dict[str, Object] = {
        "action": {"name": text},
        "resource": {"type": "customer", "id": text},
        "subject": {"type": "user", "id": text},
        "requester": {"username": text},
    }
    body = opened_grant("crm", pendingUntilTime=stamp(NOW + timedelta(hours=1)))
    body["spec"]["request"][place_] = values[place_]
    body["metadata"] |= {"uid": "uid-1", "creationTimestamp": stamp(NOW)}
    body["status"] = {"phase": "Pending", "conditions": []}
    one = grant_events(body, NOW).due[0].notification
    said = message(one, None)
    event = json.loads(event_body(one, "/bailiwick/test", None))
    for line in (said.title, *said.body.splitlines(), *map(str, event["data"]["grant"].values())):
        assert line.isprintable()
        assert not set("<>&[]`|") & set(line)
        assert "://" not in line
        assert "@everyone" not in line
        assert "@here" not in line
        assert len(line) < 4000
    # No line of ours can be forged.
    assert len([line for line in said.body.splitlines() if line.startswith("For: ")]) == 1


@pytest.mark.parametrize("character", ["a", "<", "\u202e", "\U0001f600", "\U000e0001", "\x07"])
@pytest.mark.parametrize("console", [None, "https://console.example"])
def test_a_message_is_short_however_much_was_escaped_and_says_where_to_look(
    character: str, console: str | None
) -> None:
    text = character * 300
    one = notification_of(
        action={"name": text},
        resource={"type": "customer", "id": text},
        subject={"type": "user", "id": text},
        requester={"username": text},
        actors=[{"id": text}] * 5,
    )
    said = message(one, console)
    assert len(said.title) <= MOST_TITLE
    assert length(said) <= MOST_MESSAGE
    assert said.body.splitlines()[0] == "Grant: crm/agr-wanted"
    assert said.body.splitlines()[-4].startswith("Waits until: ")
    assert said.body.splitlines()[-3].startswith("Look: ")
    assert said.body.splitlines()[-3].endswith(("agr-wanted?uid=uid-1", "-n crm"))
    for line in (said.title, *said.body.splitlines()):
        assert re.fullmatch(r"(?:[^\\]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|\\x[0-9a-f]{2})*", line), line
    refused = installation_notification(NotificationType.LOG_REFUSED, text * 9, NOW, once=True)
    assert length(message(refused, console)) <= MOST_MESSAGE


@pytest.mark.parametrize("shown", range(0, 253, 7))
def test_no_text_of_a_requester_makes_a_service_refuse_the_message(shown: int) -> None:
    # So many characters grow sixfold. PagerDuty takes 1024 in all, Discord 2000, and what is refused is not sent again.
    one = notification_of(resource={"type": "customer", "id": "\u202e" * (253 - shown) + "x" * shown})
    said = message(one, "https://console.example")
    assert length(said) <= 1024
    assert all(line.startswith("Resource:") for line in said.body.splitlines() if line.endswith("…"))


def test_where_to_look_is_whole_however_long_a_name_a_requester_chose() -> None:
    body = opened_grant("n" * 63, pendingUntilTime=stamp(NOW + timedelta(hours=1)))
    body["spec"]["request"]["action"] = {"name": "a" * 128}
    body["metadata"] |= {"name": "g" * 253, "uid": "u" * 36, "creationTimestamp": stamp(NOW)}
    body["status"] = {"phase": "Pending", "conditions": [{"type": "Ready", "lastTransitionTime": stamp(NOW)}]}
    said = message(grant_events(body, NOW).due[0].notification, "https://bailiwick.platform.example.com")
    assert length(said) <= 1024
    assert said.body.splitlines()[-3].endswith(f"/grants/{'n' * 63}/{'g' * 253}?uid={'u' * 36}")


def test_what_is_short_leaves_its_room_to_what_is_long() -> None:
    said = message(notification_of(resource={"type": "customer", "id": "x" * 253}), "https://console.example")
    assert f"Resource: customer/{'x' * 243}…" in said.body.splitlines()


@pytest.mark.parametrize(
    "text", ["@**all**", "@room", "@alice", "x/@alice", "_@_**Bob**", ".@here", "@@all", "a @b", "a@everyone"]
)
def test_nothing_mentions_anybody(text: str) -> None:
    assert "@" not in inert(text)


@pytest.mark.parametrize("text", ["customer/42", "alice@corp.example", "a_b*c", "system:serviceaccount:a:b", "größe"])
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


def test_no_argument_no_reason_no_display_value_and_no_digest_is_said() -> None:
    secret = "never-told-of"
    one = notification_of(
        display=[{"name": "context.args.iban", "value": secret}],
        reason=secret,
        binding={"mode": "Exact", "digest": "sha256:" + "ab" * 32, "members": [secret]},
        idempotency={"key": "sha256:" + "cd" * 32, "request": "sha256:" + "ef" * 32},
        intent=secret,
    )
    said = repr(message(one, None)) + event_body(one, "/b", None).decode() + repr(one)
    assert secret not in said
    assert "abab" not in said
    assert "cdcd" not in said


def test_the_same_contradiction_is_the_same_event_and_another_fall_of_the_guard_is_another() -> None:
    later = NOW + timedelta(minutes=1)
    same = [installation_notification(NotificationType.LOG_REFUSED, "why", at, once=True).id for at in (NOW, later)]
    others = [
        installation_notification(NotificationType.GUARD_UNPROVEN, "why", at, once=False).id for at in (NOW, later)
    ]
    assert len(set(same)) == 1
    assert len(set(others)) == 2


@pytest.mark.parametrize("type_", NotificationType)
def test_every_type_has_words(type_: NotificationType) -> None:
    one = notification_of()
    grant = one.grant if type_.startswith("dev.bailiwick.grant.") else None
    others: list[NotificationType] = [one for one in NotificationType if one != "dev.bailiwick.digest"]
    counts = dict.fromkeys(others, 1) if type_ is NotificationType.DIGEST else {}
    text = message(Notification("1", type_, NOW, grant, counts=counts), None)
    assert text.title
    assert text.body.endswith("This message cannot approve anything.")


def test_names_everybody_who_approved_and_says_where_it_is_cut() -> None:
    people = [f"reviewer-{number}-{'n' * 200}" for number in range(20)]
    body = opened_grant("crm", pendingUntilTime=stamp(NOW + timedelta(hours=1)))
    body["metadata"] |= {"uid": "uid-1", "creationTimestamp": stamp(NOW)}
    body["status"] = {
        "phase": "Active",
        "approvedTime": stamp(NOW),
        "notAfterTime": stamp(NOW + timedelta(hours=1)),
        "counted": [{"reviewer": one} for one in people],
    }
    one = grant_events(body, NOW).due[0].notification
    assert json.loads(event_body(one, "/b", None))["data"]["grant"]["reviewers"] == people
    (line,) = [line for line in message(one, None).body.splitlines() if line.startswith("Approved by: ")]
    assert line.endswith("…")


def test_the_name_of_a_cluster_comes_first() -> None:
    one = notification_of()
    without, said = message(one, None), message(one, None, "production-east")
    assert said.title == f"production-east: {without.title}"
    assert said.body == f"Cluster: production-east\n{without.body}"
    event = json.loads(event_body(one, "/bailiwick/test", None, "production-east"))
    assert (event["data"]["cluster"], event["data"]["title"]) == ("production-east", said.title)
    assert "cluster" not in json.loads(event_body(one, "/bailiwick/test", None))["data"]


@pytest.mark.parametrize("name", ["<@channel>\n*x*", "[a](https://evil.example)", "\u202e" * 300, "e" * 253])
def test_the_name_of_a_cluster_is_inert_and_leaves_room(name: str) -> None:
    said = message(notification_of(), None, name)
    assert ": Approval requested" in said.title
    assert len(said.title) <= MOST_TITLE
    assert length(said) <= MOST_MESSAGE
    for line in (said.title, *said.body.splitlines()):
        assert line.isprintable()
        assert not set("<>[]") & set(line)
        assert "://" not in line
    assert len([line for line in said.body.splitlines() if line.startswith("Cluster: ")]) == 1
