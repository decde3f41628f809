"""The signing keys as the operator keeps them in a real Secret: made, rotated, cleared and made again.

Holds: what is seen here is what any reader of the Secret sees; the operator's log never holds a key; each test leaves a
Secret that the operator can fill.
"""

import base64
import json
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import SIGNING_KEYS_SECRET, Installation
from bailiwick_api.manifests.rbac import accounts
from bailiwick_api.signingkeys import SigningKey, secret_data, signing
from bailiwick_operator.keys import make
from cluster.operator.keys.keys import Secret
from cluster.operator.operatorprocess import Operator
from demo.ground import KUBECTL
from localcluster.access import Cluster
from support.installation import MANAGER
from support.waits import until

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def lowered(health_port: int) -> Sequence[str]:
    return ("--proof-interval", "3", "--key-interval", "0.5", "--health-port", str(health_port))


@pytest.fixture
def health(health_port: int) -> Callable[[], str]:
    """What the operator's health says of the keys."""
    return lambda: str(requests.get(f"http://127.0.0.1:{health_port}/healthz", timeout=5).json()["keys"])


def now() -> datetime:
    return datetime.now(UTC)


def test_the_first_key_is_there_soon_and_signs(operator: Operator, secret: Secret) -> None:
    until(secret.names, "the first key")
    (key,) = secret.held()
    assert signing([key], now()) == key
    assert (key.until, secret.body()["type"]) == (None, "Opaque")
    assert key.kid in [entry["kid"] for entry in operator.await_said("signing key published")]


def test_keys_that_are_as_they_should_be_are_not_written_again(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    version = secret.body()["metadata"]["resourceVersion"]
    operator.await_said("the signing keys are in order")
    quiet = now() + timedelta(seconds=2)
    until(lambda: now() > quiet, "a few looks")
    assert secret.body()["metadata"]["resourceVersion"] == version


def test_a_secret_that_was_deleted_is_asked_for_and_filled_with_other_keys_once_it_is_applied(
    operator: Operator, secret: Secret, health: Callable[[], str]
) -> None:
    until(secret.names, "keys")
    before = secret.names()
    secret.delete()
    try:
        until(lambda: health() == MISSING, "the operator says what is missing")
        assert operator.await_said(WRONG)[-1]["problem"] == MISSING
        assert not secret.exists()
    finally:
        secret.apply()
    secret.await_others(before)
    until(lambda: health() == "ok", "all is well again")


WRONG: Final = "the signing keys are not in order"


MISSING: Final = "Secret bailiwick-keys is missing, so nothing is signed: apply crds/rbac/accounts.yaml"


def test_applying_the_manifest_again_takes_no_key_away(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    before = secret.body()
    secret.apply()
    secret.apply()
    after = secret.body()
    assert (after["data"], after["type"]) == (before["data"], "Opaque")
    owners = {entry["manager"]: entry["fieldsV1"] for entry in after["metadata"]["managedFields"]}
    assert "f:data" in owners["bailiwick-operator"]
    assert "f:data" not in owners[MANAGER]


@pytest.fixture
def kubectl(cluster: Cluster, installed: Installation, tmp_path: Path) -> Callable[..., None]:
    """Run kubectl as the administrator, where `FILE` stands for the manifest of the Secret."""
    (shipped,) = (found for found in accounts(installed) if found["metadata"]["name"] == SIGNING_KEYS_SECRET)
    file = tmp_path / "secret.json"
    file.write_text(json.dumps(shipped))

    def run(*words: str) -> None:
        given = [str(file) if word == "FILE" else word for word in words]
        command: list[str | Path] = [KUBECTL, f"--kubeconfig={cluster.kubeconfig('admin')}", *given]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr

    return run


@pytest.mark.parametrize("how", [("--server-side", "--force-conflicts"), ("--server-side",), ()], ids=" ".join)
@pytest.mark.usefixtures("operator")
def test_kubectl_apply_takes_no_key_away(how: Sequence[str], secret: Secret, kubectl: Callable[..., None]) -> None:
    until(secret.names, "keys")
    before = secret.body()["data"]
    for _ in range(2):
        kubectl("apply", *how, "-f", "FILE")
    assert secret.body()["data"] == before


NULL: Final = ("patch", "secret", "bailiwick-keys", "-n", "bailiwick-system", "-p", '{"data": null}')


@pytest.mark.parametrize("how", [NULL, ("replace", "-f", "FILE")], ids=["patch", "replace"])
@pytest.mark.usefixtures("operator")
def test_what_empties_the_secret_takes_all_keys_back(
    how: Sequence[str], secret: Secret, kubectl: Callable[..., None]
) -> None:
    until(secret.names, "keys")
    before = secret.names()
    kubectl(*how)
    secret.await_others(before)


@pytest.mark.usefixtures("operator")
def test_a_secret_of_another_type_is_not_used_and_that_is_told(secret: Secret, health: Callable[[], str]) -> None:
    until(secret.names, "keys")
    secret.delete()
    secret.create("example.com/other")
    try:
        until(lambda: "has type example.com/other instead of Opaque" in health(), "the operator says so")
        assert "data" not in secret.body()
    finally:
        secret.delete()
        secret.apply()
    until(secret.names, "keys")


def test_keys_that_were_taken_out_are_replaced_and_that_is_said(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    before = secret.names()
    secret.write({"other": "b3RoZXI="})
    secret.await_others(before)
    assert operator.await_said("the signing keys are gone: approval tokens issued until now are refused")
    assert secret.body()["data"]["other"] == "b3RoZXI="


GARBAGE: Final = {
    "no JSON": {"keys.json": base64.b64encode(b"once upon a time").decode()},
    "keys of nobody": {"keys.json": base64.b64encode(json.dumps([{"kid": "k", "pem": "p"}]).encode()).decode()},
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_what_cannot_be_read_is_replaced_and_that_is_said(
    garbage: dict[str, str], operator: Operator, secret: Secret
) -> None:
    until(secret.names, "keys")
    before = secret.names()
    said = len(operator.said(REPLACED))
    secret.write({**garbage, "other": "b3RoZXI="})
    secret.await_others(before)
    assert len(operator.said(REPLACED)) == said + 1
    # What is not ours stays.
    assert secret.body()["data"]["other"] == "b3RoZXI="


REPLACED: Final = "the signing keys cannot be read, replacing them: approval tokens issued until now are refused"


def test_a_key_in_the_name_of_another_is_replaced(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    one, other = make(), make()
    forged = SigningKey(one.kid, other.pem, now(), now(), None)
    secret.write(secret_data([forged]))
    secret.await_others({one.kid})


def test_a_key_that_has_ended_is_removed(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    old = make()
    ended = SigningKey(old.kid, old.pem, now() - timedelta(days=32), now() - timedelta(days=32), now())
    kept = secret.held()
    secret.write(secret_data([ended, *kept]))
    until(lambda: old.kid not in secret.names(), "the ended key is gone")
    assert secret.held() == kept
    assert operator.await_said("signing key removed")[-1]["kid"] == old.kid


@pytest.mark.usefixtures("operator")
def test_where_it_may_not_be_written_that_is_told_and_mended_later(secret: Secret, health: Callable[[], str]) -> None:
    until(secret.names, "keys")
    secret.write({}, immutable=True)
    try:
        until(lambda: "immutable" in health(), "the operator says so")
    finally:
        secret.delete()
        secret.apply()
    until(secret.names, "keys again", seconds=15)


def test_no_key_is_ever_logged(operator: Operator, secret: Secret) -> None:
    until(secret.names, "keys")
    log = operator.log.read_text()
    assert "PRIVATE" not in log
    for key in secret.held():
        assert not any(line in log for line in key.pem.splitlines() if line)
