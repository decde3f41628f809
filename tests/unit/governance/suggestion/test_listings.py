"""Whether files have the policies that a decision point last listed: what is not known is not taken for so."""

import hashlib
import json
from typing import Any, Final

import orjson
import pytest

from bailiwick_api.documents import policyfiles
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_governance.suggestion.listings import PolicyListings
from bailiwick_governance.suggestion.policybook import PolicyBook
from support.objects import policy, settings

CRM: Final = ("crm", "crm-api")
FILE: Final = {**policy("crm", endpointSettings=settings()), "metadata": {"namespace": "crm", "name": "crm-agent"}}
BOOK: Final = PolicyBook([("policy.yaml", policyfiles.policy_file(json.dumps(FILE).encode()))])
((_, OURS),) = BOOK.policies.items()
SAME: Final = {"crm-agent": OURS.compiled.digest}
MORE: Final = {**SAME, "other": "sha256:0"}
DIGEST: Final = "sha256:" + hashlib.sha256(orjson.dumps(SAME)).hexdigest()


def unlike(*records: dict[str, Any], texts: PolicyTexts | None = None) -> str | None:
    listings = PolicyListings(texts or PolicyTexts(), BOOK)
    for number, record in enumerate(records):
        listings.add({"endpoint": "crm/crm-api", "now": float(number), **record})
    return listings.unlike(CRM)


def test_files_are_alike_that_have_what_the_newest_record_lists() -> None:
    assert unlike({"policies": MORE}, {"policies": SAME}) is None
    assert unlike({"policies": SAME, "now": 9.0}, {"policies": MORE}) is None


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ({"policies": MORE}, "the files lack crm/other"),
        ({"policies": {"crm-agent": "sha256:0"}}, "crm/crm-agent is not what was in force"),
        ({"policies": {"crm-agent": None}}, "crm/crm-agent is not what was in force"),
        ({"policies": {}}, "crm/crm-agent is not what was in force"),
        ({"policies": SAME, "suspended": ["crm-agent"]}, "crm/crm-agent was being deleted"),
        ({}, "no record lists"),
        ({"policies": [*SAME]}, "no record lists"),
        ({"policies_digest": DIGEST}, "no record lists"),
        ({"policies_digest": 1, "policies": None}, "no record lists"),
    ],
    ids=str,
)
def test_files_are_not_alike_where_the_newest_record_says_or_may_say_otherwise(last: dict[str, Any], why: str) -> None:
    found = unlike({"policies": SAME}, last)
    assert found is not None
    assert found.startswith(why)


def test_nothing_is_known_of_an_endpoint_without_a_record() -> None:
    assert unlike() == "no record lists the policies of the endpoint"
    assert unlike({"policies": SAME, "endpoint": "crm/other"}) == "no record lists the policies of the endpoint"


def test_a_long_list_is_named_by_its_digest() -> None:
    texts = PolicyTexts()
    texts.add_list({"policies_digest": DIGEST, "policies": SAME})
    assert unlike({"policies_digest": DIGEST}, texts=texts) is None
