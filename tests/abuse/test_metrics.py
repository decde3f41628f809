"""Metrics under callers who choose every name that they can: the number of series is the same as before."""

import re
from typing import Final

import requests

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from support.pdp import questions
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenant

MANY: Final = 200
MARKER: Final = "cardinality"
_NUMBER: Final = re.compile(r" \S+$")


def _series(pdp: Bailiwick) -> set[str]:
    """Return every series of the first decision point, without its value."""
    answer = requests.get(f"{pdp.points[0].status_url}/metrics", timeout=10)
    assert answer.ok
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    return {_NUMBER.sub("", line) for line in lines}


def test_ab_47_names_that_callers_choose_make_no_series_and_stand_in_none(tenant: Tenant, pdp: Bailiwick) -> None:
    before = _series(pdp)
    stranger = tenant.token("stranger", ENFORCER_AUDIENCE)
    for number in range(MANY):
        name = f"{MARKER}-{number}"
        body = tenant.body(name, name, intent=name)
        body["subject"]["type"] = body["resource"]["type"] = name
        headers = {"Host": f"{name}.example", "X-Request-ID": name, "User-Agent": name}
        for endpoint, token in (("crm-api", tenant.pep), (name, tenant.pep), ("crm-api", stranger), (name, None)):
            questions.post(tenant.url(endpoint=endpoint), body, token, headers)
        questions.get(f"{tenant.points[0]}/{name}", None, headers)
    after = _series(pdp)
    assert not any(MARKER in series for series in after)
    assert len(after - before) <= 20
    assert len(after) < 2_000
