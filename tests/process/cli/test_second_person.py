"""The kubeconfig of a second person, as `docs/how-to/console.md` makes one."""

import subprocess
from pathlib import Path

import yaml

from support.pages import needs, script

PAGE = "how-to/console.md"
OWN = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "test", "cluster": {"server": "https://127.0.0.1:6443"}}],
    "users": [{"name": "admin", "user": {"token": "a-secret-of-mine"}}],
    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    "current-context": "test",
}


@needs("kubectl", "openssl")
def test_has_the_certificate_and_none_of_my_own_credentials(tmp_path: Path) -> None:
    (tmp_path / "own").write_text(yaml.safe_dump(OWN))
    request = script(PAGE, "openssl req").splitlines()[0]
    signed = "openssl req -x509 -key ann.key -in ann.csr -out ann.crt -days 1"
    subprocess.run(
        ["bash", "-euc", "\n".join((request, signed, script(PAGE, "kubectl config view")))],
        cwd=tmp_path,
        env={"KUBECONFIG": str(tmp_path / "own"), "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    made = tmp_path / "ann.kubeconfig"
    read = yaml.safe_load(made.read_text())
    assert "a-secret-of-mine" not in made.read_text()
    assert [user["name"] for user in read["users"]] == ["ann"]
    assert read["users"][0]["user"].keys() == {"client-certificate-data", "client-key-data"}
    assert read["contexts"][0]["context"] == {"cluster": "test", "user": "ann"}
    assert made.stat().st_mode & 0o777 == 0o600
    subject = ["openssl", "req", "-in", "ann.csr", "-noout", "-subject"]
    told = subprocess.run(subject, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True).stdout
    assert ("crm-owners" in told, "ann" in told) == (True, True)
