"""Signals of issuers in the chart: the operator alone has the bearer token, beside the issuers file that names it."""

from typing import Final

import pytest
import yaml

from bailiwick_api.issuers import IssuersFile
from support import charts
from support.charts import Values
from support.objects import Object

pytestmark = pytest.mark.long

FOLDER: Final = "/etc/bailiwick/issuers"
CORP: Final = {
    "name": "corp",
    "issuer": "https://login.corp.example",
    "signals": {
        "pollURL": "https://login.corp.example/poll",
        "tokenFile": "ssf.token",
        "audience": "https://bailiwick.example.com",
        "maxTokenSeconds": 3600,
    },
}
SIGNALS: Final[Values] = {"issuers": [CORP], "issuerSecretName": "tokens"}


def volume(values: Values, component: str) -> Object:
    pod = charts.render(values).pods()[f"Deployment/bailiwick-{component}"]
    (found,) = [one for one in pod["volumes"] if one["name"] == "issuers"]
    (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "issuers"]
    assert mount == {"name": "issuers", "mountPath": FOLDER, "readOnly": True}
    return dict(found)


def test_the_operator_finds_the_token_beside_the_file_that_names_it() -> None:
    assert volume(SIGNALS, "operator")["projected"] == {
        "defaultMode": 0o440,
        # The last one wins, so that no key of the Secret replaces the file.
        "sources": [{"secret": {"name": "tokens", "optional": True}}, {"configMap": {"name": "bailiwick-issuers"}}],
    }
    assert f"--issuers={FOLDER}/issuers.yaml" in charts.render(SIGNALS).args("operator")


def test_the_decision_point_has_the_file_and_no_token() -> None:
    assert volume(SIGNALS, "webhook") == {"name": "issuers", "configMap": {"name": "bailiwick-issuers"}}


def test_the_file_is_one_that_both_processes_read() -> None:
    (written,) = [
        one for one in charts.render(SIGNALS).of("ConfigMap") if one["metadata"]["name"] == "bailiwick-issuers"
    ]
    (config,) = IssuersFile.model_validate(yaml.safe_load(written["data"]["issuers.yaml"])).issuers
    assert config.signals is not None
    assert config.signals.max_token_seconds == 3600


def test_a_token_in_a_file_of_its_own_needs_no_secret_of_the_chart() -> None:
    elsewhere = {**CORP, "signals": {**CORP["signals"], "tokenFile": "/run/tokens/ssf"}}  # type: ignore[dict-item]
    assert volume({"issuers": [elsewhere]}, "operator") == volume({"issuers": [elsewhere]}, "webhook")
