"""Reaching the cluster as kubectl does: kubeconfigs of every kind, and what is told where one does not do."""

import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from localcluster.login import from_file
from localcluster.pki import Authority
from support import commandline
from support.commandline import Ran
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenant

Config = dict[str, Any]

MINE: Final = ("list", "--no-headers")


@pytest.fixture
def config(tenant: Tenant) -> Config:
    """Carol's kubeconfig, to be changed."""
    found: Config = yaml.safe_load(tenant.cluster.kubeconfig("carol").read_text(encoding="utf-8"))
    found["contexts"][0]["context"]["namespace"] = tenant.namespace
    return found


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., Ran]:
    """Lists grants by a kubeconfig of this content."""

    def run(*configs: Config, arguments: tuple[str, ...] = MINE) -> Ran:
        paths = []
        for index, one in enumerate(configs):
            path = tmp_path / f"config-{index}"
            path.write_text(yaml.safe_dump(one), encoding="utf-8")
            paths.append(str(path))
        return commandline.run(*arguments, env={"KUBECONFIG": os.pathsep.join(paths)})

    return run


def token_of(config: Config) -> str:
    token: str = config["users"][0]["user"]["token"]
    return token


def test_the_namespace_is_that_of_the_context(listed: Callable[..., Ran], config: Config, tenant: Tenant) -> None:
    ran = listed(config)
    assert (ran.code, ran.err) == (0, f"No approvals found in {tenant.namespace}.\n"), ran


def test_where_was_looked_is_said_where_nobody_said_where_to_look(
    listed: Callable[..., Ran], config: Config, tenant: Tenant
) -> None:
    ran = listed(config, arguments=("show", "agr-none"))
    where = f"in {tenant.namespace}, the namespace of your context; use -n to choose another"
    assert ran.err.endswith(f'"agr-none" not found ({where})\n'), ran
    ran = listed(config, arguments=("show", "agr-none", "-n", tenant.namespace))
    assert ran.err.endswith('"agr-none" not found\n'), ran


def test_an_exec_plugin_gives_the_token(listed: Callable[..., Ran], config: Config, tmp_path: Path) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token_of(config)},
    }
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(credential)}\nE\n", encoding="utf-8")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    named = {"apiVersion": credential["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": named}
    assert listed(config).code == 0


def test_a_plugin_that_fails_is_told(listed: Callable[..., Ran], config: Config) -> None:
    named = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false", "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": named}
    ran = listed(config)
    assert ran.code == 2, ran
    assert "exec" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "files"])
def test_a_client_certificate_says_who_we_are(
    listed: Callable[..., Ran], config: Config, pdp: Bailiwick, inline: bool
) -> None:
    if pdp.plane is None:
        pytest.skip("a certificate can be issued on a cluster of our own only")
    pair = Authority.at(pdp.plane.folder / "pki", "ca").client("cli-carol", "carol", ("crm-owners",))
    files = {"client-certificate": pair.certificate, "client-key": pair.key}
    config["users"][0]["user"] = (
        {f"{name}-data": base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
        if inline
        else {name: str(path) for name, path in files.items()}
    )
    assert listed(config).code == 0


def test_a_token_file_gives_the_token(listed: Callable[..., Ran], config: Config, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token_of(config), encoding="utf-8")
    config["users"][0]["user"] = {"tokenFile": "token"}
    assert listed(config).code == 0


@pytest.mark.invariant(3)
def test_whom_a_kubeconfig_acts_as_is_kept(listed: Callable[..., Ran], config: Config, tenant: Tenant) -> None:
    admin = yaml.safe_load(tenant.cluster.kubeconfig("admin").read_text(encoding="utf-8"))
    config["users"][0]["user"] = {**admin["users"][0]["user"], "as": "mallory", "as-groups": ["nobody"]}
    ran = listed(config)
    assert (ran.code, 'User "mallory" cannot list' in ran.err) == (2, True), ran
    config["users"][0]["user"]["as-groups"] = ["crm-owners", "support"]
    assert listed(config).code == 0


def test_of_several_files_the_first_says_which_context(listed: Callable[..., Ran], config: Config) -> None:
    other = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "elsewhere",
        "contexts": [{"name": "elsewhere", "context": {"cluster": "elsewhere", "user": "nobody"}}],
        "clusters": [{"name": "elsewhere", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [],
    }
    assert listed(config, other).code == 0
    ran = listed(other, config)
    assert (ran.code, ran.err.startswith("error: the API server https://127.0.0.1:9 does not answer: ")) == (2, True), (
        ran
    )
    assert listed(other, config, arguments=(*MINE, "--context", config["current-context"])).code == 0


def test_another_authority_than_the_clusters_is_not_trusted(
    listed: Callable[..., Ran], config: Config, tenant: Tenant
) -> None:
    login = from_file(tenant.cluster.kubeconfig("carol"))
    assert login.authority is not None
    config["clusters"][0]["cluster"].pop("certificate-authority-data")
    ran = listed(config)
    assert (ran.code, "certificate verify failed" in ran.err) == (2, True), ran


def test_a_token_that_is_not_known_is_told(listed: Callable[..., Ran], config: Config) -> None:
    config["users"][0]["user"] = {"token": base64.b64encode(b"unknown").decode()}
    ran = listed(config)
    assert (ran.code, "did not authenticate you" in ran.err) == (2, True), ran


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--context", "none"), "no context 'none'"),
        (("--kubeconfig", "/nowhere"), "no kubeconfig at /nowhere"),
        (("--as-group", "x"), "--as-group requires --as"),
        (("--request-timeout", "soon"), "is not a duration"),
        (("-n", "../pods"), "is not a valid object name"),
    ],
)
def test_what_cannot_be_is_one_line(
    listed: Callable[..., Ran], config: Config, arguments: tuple[str, ...], said: str
) -> None:
    ran = listed(config, arguments=(*MINE, *arguments))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert said in ran.err
