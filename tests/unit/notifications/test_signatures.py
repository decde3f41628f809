"""CloudEvents as they are signed, verified by libraries that somebody else wrote."""

import base64
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bailiwick_notifications.cloudevent import SigningSecretError, event_body, headers, signing_key
from bailiwick_notifications.notification import Notification, NotificationType

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
TOLD = Notification("id-1", NotificationType.TEST, datetime(2026, 11, 27, 12, tzinfo=UTC), note="a test")


def test_verify_by_another_implementation_of_standard_webhooks() -> None:
    body = event_body(TOLD, "/bailiwick/bailiwick-system", None)
    signed = headers(signing_key(SECRET), TOLD.id, datetime.now(UTC), body)
    assert Webhook(SECRET).verify(body, dict(signed))["id"] == "id-1"


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp"])
def test_cover_the_id_the_time_and_the_body(changed: str) -> None:
    body = event_body(TOLD, "/b", None)
    now = datetime.now(UTC)
    signed = dict(headers(KEY, TOLD.id, now, body))
    if changed == "body":
        body += b" "
    else:
        signed[changed] = "id-2" if changed == "webhook-id" else str(int(now.timestamp()) - 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, signed)


def test_are_of_events_that_another_library_reads() -> None:
    body = event_body(TOLD, "/b", None)
    kind = headers(KEY, TOLD.id, datetime.now(UTC), body)["Content-Type"]
    event = from_http_event(HTTPMessage({"content-type": kind}, body))
    assert (event.get_id(), event.get_source(), event.get_type()) == ("id-1", "/b", "dev.bailiwick.test")
    assert event.get_time() == TOLD.at
    assert event.get_datacontenttype() == "application/json"


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(KEY).decode(),
        "whsec_",
        "whsec_" + base64.b64encode(b"short").decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_not base64 at all!",
    ],
    ids=["no prefix", "nothing", "short", "long", "no base64"],
)
def test_need_a_secret_that_is_one_and_an_error_does_not_repeat_it(text: str) -> None:
    with pytest.raises(SigningSecretError) as raised:
        signing_key(text)
    assert text.removeprefix("whsec_") not in str(raised.value) or text == "whsec_"
