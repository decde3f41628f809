"""Files that change while the process runs are read as they are now."""

import os
import ssl
from pathlib import Path

import pytest

from bailiwick import Bailiwick, Call, Resource, ServiceAccountFile
from bailiwick.credentials import TrustFile
from support.certificates import self_signed
from support.sdk.script import Script, allow, header


def replaced(path: Path, text: str) -> None:
    """Put a file in the place of another, as the kubelet does."""
    new = path.with_name("new")
    new.write_text(text)
    new.rename(path)


def test_a_token_is_read_again_when_its_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    token = ServiceAccountFile(path)
    assert token() == "first"
    replaced(path, "other\n")
    assert token() == "other"


def test_a_token_is_read_once_while_its_file_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    token = ServiceAccountFile(path)
    token()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("read again"))
    assert token() == "first"


@pytest.mark.parametrize("text", ["", "\n", "two words", "a\nb"])
def test_what_is_no_token_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(ValueError, match="no token"):
        ServiceAccountFile(path)()


def test_a_token_that_is_gone_is_not_used_any_longer(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    script = Script(allow())
    pdp = Bailiwick("https://pdp.example", token=ServiceAccountFile(path), transport=script)
    call = Call(action="a", resource=Resource("t", "i"))
    assert pdp.evaluate(call)
    path.unlink()
    decision = pdp.evaluate(call)
    assert (decision.allowed, decision.reason) == (False, "pdp_unavailable")
    assert [header(one, "authorization") for one in script.sent] == ["Bearer first"]


def test_an_authority_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    path, _ = self_signed(tmp_path)
    authority = TrustFile(path)
    first = authority()
    assert authority() is first
    self_signed(tmp_path)
    os.utime(path, ns=(1, 1))
    assert authority() is not first


def test_an_authority_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        TrustFile(path)()
