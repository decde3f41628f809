"""Where the API server is and as whom it is called; the token is always the one that the file holds now."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from bailiwick_kube.access import AccessError, access, from_pod

PEM = "-----BEGIN CERTIFICATE-----\n"


def kubeconfig(folder: Path, user: dict[str, Any], **cluster: object) -> Path:
    path = folder / "config"
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


class TestAKubeconfig:
    def test_names_server_ca_and_token_file(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("first\n")
        data = base64.b64encode(PEM.encode()).decode()
        found = access(kubeconfig(tmp_path, {"tokenFile": "token"}, **{"certificate-authority-data": data}))
        assert (found.server, found.ca_data, found.ca_file) == ("https://api.example:6443", PEM, None)
        assert found.token() == "first"

    def test_may_hold_the_token_itself_and_a_ca_file_beside_it(self, tmp_path: Path) -> None:
        found = access(kubeconfig(tmp_path, {"token": "fixed"}, **{"certificate-authority": "ca.crt"}))
        assert (found.token(), found.ca_file) == ("fixed", tmp_path / "ca.crt")

    def test_that_wants_another_login_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(AccessError, match="client-certificate not supported"):
            access(kubeconfig(tmp_path, {"client-certificate": "me.crt", "token": "fixed"}))

    def test_without_tls_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(AccessError, match="does not use https"):
            access(kubeconfig(tmp_path, {"token": "fixed"}, server="http://api.example"))

    @pytest.mark.parametrize("text", ["", "[]", "{a: ", "current-context: here", "{current-context: a, contexts: []}"])
    def test_that_is_none_is_refused(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "config").write_text(text)
        with pytest.raises(AccessError, match="is not a kubeconfig with a current context"):
            access(tmp_path / "config")


class TestTheToken:
    def test_is_read_again_for_each_use(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("first")
        found = access(kubeconfig(tmp_path, {"tokenFile": "token"}))
        (tmp_path / "token").write_text("second")
        assert found.token() == "second"

    def test_that_is_gone_is_an_error_that_names_the_file(self, tmp_path: Path) -> None:
        found = access(kubeconfig(tmp_path, {"tokenFile": "token"}))
        with pytest.raises(AccessError, match="token cannot be read: No such file"):
            found.token()

    def test_that_is_empty_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("\n")
        with pytest.raises(AccessError, match="is empty"):
            access(kubeconfig(tmp_path, {"tokenFile": "token"})).token()

    def test_is_not_shown(self, tmp_path: Path) -> None:
        assert "fixed" not in repr(access(kubeconfig(tmp_path, {"token": "fixed"})))


class TestAPod:
    @pytest.mark.parametrize(
        ("host", "server"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
    )
    def test_is_told_by_its_environment(self, host: str, server: str, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("projected")
        found = from_pod({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
        assert (found.server, found.ca_file, found.token()) == (server, tmp_path / "ca.crt", "projected")

    def test_that_is_none_is_told_what_to_say(self) -> None:
        with pytest.raises(AccessError, match="set --kubeconfig FILE"):
            access(None, {})
