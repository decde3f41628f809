"""The sidecar that stores records: it is there only if it has a URL, and it has nothing that it does not need."""

from typing import Any, Final

import pytest
import yaml

from bailiwick_cli.verbs.logverbs import ShipFlags
from bailiwick_cli.verbs.table import COMMANDS, option_types
from support import charts
from support.charts import Values
from support.objects import Object
from support.pages import blocks

VALUES: Final[Values] = charts.ci(charts.PATH / "ci" / "shipper-values.yaml")
POD: Final = "Deployment/bailiwick-webhook"


def without(values: Values) -> Values:
    """Return the values without the sidecar, and all else as it is."""
    record = {name: value for name, value in values["webhook"]["record"].items() if name != "shipper"}
    return {**values, "webhook": {"record": record}}


def pod(values: Values) -> Object:
    return charts.render(values).pods()[POD]


def shipper(values: Values) -> Any:  # noqa: ANN401 - any JSON value
    (found,) = pod(values)["initContainers"]
    return found


def test_a_plain_installation_has_none_of_it() -> None:
    for values in ({}, without(VALUES)):
        rendered = charts.texts(values)
        assert not any("shipper" in text for text in rendered.values())
        assert "initContainers" not in pod(values)


def test_nothing_but_the_sidecar_its_state_and_its_time_is_added() -> None:
    bare, more = pod(without(VALUES)), pod(VALUES)
    (state,) = (volume for volume in more["volumes"] if volume not in bare["volumes"])
    assert state == {"name": "shipper", "emptyDir": {"sizeLimit": "16Mi"}}
    more["volumes"].remove(state)
    del more["initContainers"]
    more["terminationGracePeriodSeconds"] -= 15
    assert more == bare
    others = [{**charts.texts(values), "webhook/deployment.yaml": ""} for values in (without(VALUES), VALUES)]
    assert others[0] == others[1], "no port, no right, no Service and no policy of networks"


def test_it_has_the_records_read_only_and_no_token() -> None:
    found = shipper(VALUES)
    assert found["volumeMounts"] == [
        {"name": "records", "mountPath": "/var/lib/bailiwick", "readOnly": True},
        {"name": "shipper", "mountPath": "/var/lib/bailiwick-shipper"},
    ]
    assert {"ports", "livenessProbe", "readinessProbe", "startupProbe"} & found.keys() == set()
    assert found["securityContext"] == charts.render(VALUES).pods()[POD]["containers"][0]["securityContext"]
    assert pod(VALUES)["automountServiceAccountToken"] is False


def test_it_outlives_the_decision_point_so_that_the_last_lines_are_stored() -> None:
    # What Kubernetes calls a sidecar: it is ended after all other containers.
    assert shipper(VALUES)["restartPolicy"] == "Always"


def test_its_flags_are_those_of_the_command_and_name_cluster_namespace_and_pod() -> None:
    found = shipper(VALUES)
    verb, file, url, *flags = found["args"]
    assert COMMANDS[verb] is ShipFlags
    assert file == VALUES["webhook"]["record"]["file"]
    assert url == "s3://bailiwick-records/decisions/prod-eu/bailiwick-system/$(BAILIWICK_POD_UID)"
    uid = {"name": "BAILIWICK_POD_UID", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}}
    assert found["env"] == [uid, {"name": "AWS_REGION", "value": "eu-central-1"}]
    assert found["envFrom"] == [{"secretRef": {"name": "store-credentials"}}]
    given = dict(flag.split("=") for flag in flags)
    assert given == {"--state": "/var/lib/bailiwick-shipper", "--seconds": "30"}
    assert given.keys() <= option_types(ShipFlags).keys()


@pytest.mark.parametrize("name", ["clusterName", "reviewers.installation"])
def test_the_cluster_is_called_as_people_call_it(name: str) -> None:
    values = {name: value for name, value in VALUES.items() if name != "clusterName"}
    given = {**values, **charts.nested(tuple(name.split(".")), "staging")}
    assert "/staging/bailiwick-system/" in shipper(given)["args"][2]


def test_it_runs_in_the_image_of_the_command_line() -> None:
    console = yaml.safe_load((charts.PATH / "values.yaml").read_text(encoding="utf-8"))["console"]["image"]
    assert shipper(VALUES)["image"].startswith(f"{console['repository']}:")
    digest = f"sha256:{'0' * 64}"
    assert shipper({**VALUES, "console": {"image": {"digest": digest}}})["image"].endswith(f"@{digest}")


def test_the_values_of_the_page_are_taken() -> None:
    (printed,) = (block for block in blocks("how-to/ship-logs.md", "yaml") if block.startswith("clusterName"))
    found = shipper(yaml.safe_load(printed))
    assert found["envFrom"] == [{"secretRef": {"name": "store-credentials"}}]
    assert found["args"][2].startswith("s3://bailiwick-records/decisions/prod-eu/")
