"""A record, mapped as docs/reference/record.md says, is an event of OCSF's class as OCSF publishes it."""

from datetime import datetime
from functools import cache
from typing import Any, Final

import jsonschema
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from support.objects import Object, gated_rule, rule, settings
from support.pages import DOCS
from unit.webhook.record.everymember import lines, stored

VERSION: Final = "1.8.0"
# Members of OCSF's own, as a line has them.
OWN: Final = (
    *("class_uid", "category_uid", "activity_id", "activity_name", "type_uid", "severity_id", "metadata"),
    *("action_id", "disposition_id"),
)


@cache
def judge() -> Any:  # noqa: ANN401 - a validator, which has no types
    """Return the class with the profile, as the newest version has it that is published as a package."""
    schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION))
    return jsonschema.Draft202012Validator(schemas.get_class_schema("api_activity", ["security_control", "datetime"]))


def mapped(record: Object) -> Object:
    """Return a record as an event: the table of the page, row by row."""
    event = {name: record[name] for name in OWN}
    event["metadata"] = record["metadata"] | {"version": VERSION, "uid": record["evaluation_id"]}
    if record.get("request_id"):
        event["metadata"]["correlation_uid"] = record["request_id"]
    event["time"] = int(datetime.fromisoformat(record["time"]).timestamp() * 1_000)
    event["time_dt"] = record["time"]
    event["api"] = {"operation": record["action"], "service": {"name": record["endpoint"]}}
    event["actor"] = {"user": {"uid": record["subject"]["id"], "uid_alt": record["subject"]["uid"]}}
    event["src_endpoint"] = {"name": record["caller"]["id"]}
    event["resources"] = [{"type": record["resource"]["type"], "uid": record["resource"]["id"]}]
    authorization: Object = {"decision": "allow" if record["decision"] else "deny"}
    if record["policy"] is not None:
        authorization["policy"] = {"name": record["policy"]["name"], "uid": record["policy"]["uid"]}
    event["authorizations"] = [authorization]
    event["status_detail"] = record["reason"]
    event["unmapped"] = {name: held for name, held in record.items() if name not in OWN}
    return event


@pytest.mark.parametrize("rules", [[rule()], [gated_rule()], []], ids=["allowed", "gated", "denied"])
def test_a_record_that_is_mapped_is_an_event(rules: list[Object]) -> None:
    (record,) = lines(stored("crm-agent", endpointSettings=settings(), rules=rules))
    assert [error.message for error in judge().iter_errors(mapped(record))] == []


def test_a_record_as_it_stands_is_none() -> None:
    # Its own names serve whoever reads lines; what ingests OCSF maps them.
    (record,) = lines(stored("crm-agent", endpointSettings=settings(), rules=[rule()]))
    assert {error.validator for error in judge().iter_errors(record)} >= {"required", "additionalProperties", "type"}


def test_the_page_has_the_rows_that_are_mapped_here() -> None:
    page = (DOCS / "reference" / "record.md").read_text(encoding="utf-8")
    for row in ("| `api.operation`, `api.service.name` |", "| `actor.user` (", "| `resources[0]` |", "| `unmapped` |"):
        assert row in page
