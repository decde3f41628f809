"""From a person's key to a reviewers' file that counts, on files alone. `ssh-keygen -Y verify` is the oracle."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_engine.signatures.publickey import parse_key_line
from support import commandline
from support.commandline import Ran
from support.offlineshell import OfflineShell
from support.pages import script
from support.signing.sshkeygen import SshOracle, made_key, public_line, signed_by

CHECK: Final = "kubectl bailiwick reviewers check reviewers.yaml --registrar-key registrar.pub"
NAMESPACE: Final = "reviewers@bailiwick.dev"
PLACE: Final = ("--reviewers-installation", "test")
YEAR: Final = ("--expires", "2099-03-01", *PLACE)


class Desk:
    """A folder of keys, requests and one manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "reviewers.yaml"

    def key(self, name: str) -> Path:
        file = self.folder / name
        return file if file.exists() else made_key(file, f"of {name}")

    def run(self, verb: str, *arguments: object) -> Ran:
        return commandline.run("reviewers", verb, *map(str, arguments))

    def request(self, person: str, key: str = "") -> Path:
        ran = self.run("request", "--key", self.key(key or person), "--reviewer", f"oidc:{person}")
        assert ran.code == 0, ran
        file = self.folder / f"{key or person}.txt"
        file.write_text(ran.out)
        return file

    def add(self, *requests: Path, more: tuple[str, ...] = YEAR) -> None:
        ran = self.run("add", self.manifest, *requests, *more)
        assert ran.code == 0, ran

    def trust(self, *registrars: str) -> tuple[str, ...]:
        """Return the flags by which a command knows the registrars, any of whom may have signed."""
        keys = [part for one in registrars for part in ("--registrar-key", f"{self.key(one)}.pub")]
        return (*keys, "--registrar-quorum", "1")

    def sign(self, registrar: str = "registrar") -> None:
        ran = self.run("sign", self.manifest, "--key", self.key(registrar), "--first", "--yes")
        assert ran.code == 0, ran

    def put(self, old: str, new: str, entry: str = "reviewers") -> None:
        """Change an entry of the manifest as no command of ours does."""
        document = yaml.safe_load(self.manifest.read_text())
        assert old in document["data"][entry]
        document["data"][entry] = document["data"][entry].replace(old, new)
        self.manifest.write_text(yaml.safe_dump(document))

    def check(self, *registrars: str, more: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        keys = [part for one in registrars for part in ("--registrar-key", f"{self.key(one)}.pub")]
        ran = self.run("check", self.manifest, *keys, "-o", "json", *more)
        assert ran.code in {0, 1}, ran
        return ran.code, json.loads(ran.out)

    @property
    def data(self) -> dict[str, str]:
        document = yaml.safe_load(self.manifest.read_text())
        assert (document["kind"], document["metadata"]["name"]) == ("ConfigMap", "bailiwick-reviewers")
        found: dict[str, str] = document["data"]
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_request_is_a_line_and_a_proof_that_openssh_verifies(desk: Desk) -> None:
    line, _, proof = desk.request("carol").read_text().partition("\n")
    assert line == f'oidc:carol namespaces="review@bailiwick.dev" {public_line(desk.key("carol"))}'
    oracle = SshOracle(desk.folder, line.replace("review@", "enrol@") + "\n")
    assert oracle.accepts("oidc:carol", "enrol@bailiwick.dev", f"{line}\n".encode(), proof)


def test_a_passphrase_is_asked_for_at_the_terminal(desk: Desk) -> None:
    key = made_key(desk.folder / "locked", "locked", "open sesame")
    ran = commandline.run_at_terminal(
        *("reviewers", "request", "--key", str(key), "--reviewer", "carol"),
        kubeconfig=desk.folder / "none",
        typed={"passphrase": "open sesame\n"},
    )
    assert (ran.code, ran.out.count("BEGIN SSH SIGNATURE")) == (0, 1), ran


def test_a_file_that_a_registrar_signed_counts_and_openssh_says_so_too(desk: Desk) -> None:
    desk.add(desk.request("carol"), desk.request("dave"))
    code, said = desk.check("registrar")
    assert (code, said["counts"]) == (1, False)
    desk.sign()
    code, said = desk.check("registrar")
    assert (code, said["serial"], said["expires"]) == (0, 2, "2099-03-01T00:00:00Z")
    assert [(one["person"], one["counts"]) for one in said["keys"]] == [
        ("oidc:carol", "until 2099-03-01T00:00:00Z"),
        ("oidc:dave", "until 2099-03-01T00:00:00Z"),
    ]
    text, signature = (desk.data[name] for name in ("reviewers", "reviewers.sig"))
    oracle = SshOracle(desk.folder, f"registrar {public_line(desk.key('registrar'))}\n")
    assert oracle.accepts("registrar", NAMESPACE, text.encode(), signature)
    # What it lets sign, by OpenSSH's reading of the same file.
    reviewers = SshOracle(desk.folder, text)
    mine = signed_by(desk.key("carol"), "review@bailiwick.dev", b"statement")
    assert reviewers.accepts("oidc:carol", "review@bailiwick.dev", b"statement", mine)
    assert not reviewers.accepts("oidc:dave", "review@bailiwick.dev", b"statement", mine)


def test_as_many_registrars_as_are_asked_for_must_have_signed_the_very_file(desk: Desk) -> None:
    desk.add(desk.request("carol"))
    desk.sign("one")
    two = ("--registrar-quorum", "2")
    assert desk.check("one", "two", more=two)[1]["problem"] == "registrars who signed it: 1, but 2 must"
    desk.sign("one")
    assert desk.check("one", "two", more=two)[0] == 1
    desk.sign("two")
    assert desk.check("one", "two", more=two)[0] == 0
    # A change ends all of it.
    desk.add(desk.request("dave"), more=desk.trust("one", "two"))
    assert desk.data["reviewers.sig"] == ""
    assert desk.check("one", "two", more=two)[0] == 1
    # How many must sign is the cluster's to say: by one of two, a file would pass that never counted there.
    asked = [part for one in ("one", "two") for part in ("--registrar-key", f"{desk.key(one)}.pub")]
    for verb in ("reviewers check", "audit verify"):
        ran = commandline.run(*verb.split(), *map(str, [desk.manifest, *asked]))
        assert (ran.code, "say with --registrar-quorum" in ran.err) == (2, True), ran


def test_a_file_that_others_than_the_registrars_signed_is_neither_changed_nor_compared_with(desk: Desk) -> None:
    registrars = ("--registrar-key", f"{desk.key('one')}.pub", "--registrar-key", f"{desk.key('two')}.pub")
    asked = (*registrars, "--registrar-quorum", "1")
    desk.add(desk.request("mallory"))
    desk.sign("mallory")
    older = desk.folder / "older.yaml"
    older.write_text(desk.manifest.read_text())
    changes = (
        ("add", desk.manifest, desk.request("carol")),
        ("add", desk.manifest, "--expires", "2099-12-01"),
        ("remove", desk.manifest, parse_key_line(public_line(desk.key("mallory"))).fingerprint),
    )
    for verb, *given in changes:
        ran = desk.run(verb, *given, *asked)
        assert (ran.code, "registrars who signed it: 0, but 1 must. Start from a signed file" in ran.err) == (
            2,
            True,
        ), ran
        ran = desk.run(verb, *given, *asked, "--unsigned")
        assert (ran.code, "--unsigned takes a file without valid signatures" in ran.err) == (2, True), ran
        ran = desk.run(verb, *given, "--registrar-quorum", "1")
        assert (ran.code, "--registrar-quorum needs --registrar-key" in ran.err) == (2, True), ran
    assert desk.manifest.read_text() == older.read_text()
    # Whoever reads the lines may take them over, and then the registrars sign.
    desk.add(desk.request("carol"), more=("--unsigned",))
    since = ("--key", desk.key("one"), "--yes", "--since", older)
    ran = desk.run("sign", desk.manifest, *since, *asked)
    assert (ran.code, "registrars who signed it: 0, but 1 must" in ran.err) == (2, True), ran
    desk.sign("one")
    desk.add(desk.request("dave"), more=asked)
    ran = desk.run("add", desk.manifest, desk.request("erin"), *registrars, "--registrar-quorum", "2")
    assert (ran.code, "no signature fits its lines" in ran.err) == (2, True), ran


def test_a_file_is_for_one_installation_and_a_registrar_is_shown_which(desk: Desk) -> None:
    request = desk.request("carol")
    ran = desk.run("add", desk.manifest, request, "--expires", "2099-03-01")
    assert (ran.code, "say with --reviewers-installation where it counts" in ran.err) == (2, True), ran
    desk.add(request)
    assert desk.data["reviewers"].splitlines()[2] == "# installation: test"
    ran = desk.run("add", desk.manifest, desk.request("dave"), "--unsigned", "--reviewers-installation", "production")
    assert (ran.code, "is for installation test" in ran.err) == (2, True), ran
    ran = desk.run("sign", desk.manifest, "--key", desk.key("registrar"), "--first", "--yes")
    assert "of installation test with serial 2" in ran.err, ran
    assert desk.check("registrar", more=PLACE)[0] == 0
    code, said = desk.check("registrar", more=("--reviewers-installation", "production"))
    assert (code, said["installation"]) == (1, "test")
    assert said["problem"] == "it is for installation test, but this one is production"


def test_a_signature_that_no_longer_fits_is_dropped_and_one_that_is_edited_in_is_found(desk: Desk) -> None:
    desk.add(desk.request("carol"))
    desk.sign("one")
    desk.put("oidc:carol", "oidc:mallory")
    code, said = desk.check("one")
    assert (code, "does not verify" in said["problem"]) == (1, True)
    desk.sign("two")
    assert desk.data["reviewers.sig"].count("BEGIN") == 1


def test_a_key_is_removed_or_ended_and_the_serial_rises(desk: Desk) -> None:
    desk.add(desk.request("carol"), desk.request("dave"))
    desk.sign()
    lost = desk.check("registrar")[1]["keys"][0]["fingerprint"]
    ran = desk.run("remove", desk.manifest, lost, "--valid-before", "2030-01-01", *desk.trust("registrar"))
    assert ran.code == 0, ran
    desk.sign()
    said = desk.check("registrar", more=("--at", "2029-12-31T00:00:00Z"))[1]
    assert (said["serial"], said["keys"][0]["counts"]) == (3, "until 2030-01-01T00:00:00Z")
    assert desk.check("registrar", more=("--at", "2030-01-01"))[1]["keys"][0]["counts"].startswith("ended")
    # Earlier still.
    assert desk.run("remove", desk.manifest, lost, "--valid-before", "2027-01-01", *desk.trust("registrar")).code == 0
    assert desk.data["reviewers"].count("valid-before") == 1
    assert desk.run("remove", desk.manifest, lost, "--unsigned").code == 0
    desk.sign()
    said = desk.check("registrar")[1]
    assert (said["serial"], [one["person"] for one in said["keys"]]) == (5, ["oidc:dave"])
    assert desk.run("remove", desk.manifest, lost, *desk.trust("registrar")).err.endswith(
        f"error: the file has no key {lost}\n"
    )


def test_a_second_key_counts_from_its_day_on(desk: Desk) -> None:
    desk.add(desk.request("carol"))
    desk.add(desk.request("carol", "next"), more=("--valid-after", "2030-01-01", "--unsigned"))
    desk.sign()
    said = desk.check("registrar", more=("--at", "2029-12-31"))[1]
    assert [one["counts"].partition(" ")[0] for one in said["keys"]] == ["until", "from"]
    # OpenSSH reads the times of the file alike.
    late = signed_by(desk.key("next"), "review@bailiwick.dev", b"m")
    assert not SshOracle(desk.folder, desk.data["reviewers"]).accepts("oidc:carol", "review@bailiwick.dev", b"m", late)


def test_a_file_that_has_ended_counts_for_nobody(desk: Desk) -> None:
    desk.add(desk.request("carol"), more=("--expires", "2030-01-01", *PLACE))
    desk.sign()
    assert desk.check("registrar", more=("--at", "2029-12-31"))[0] == 0
    code, said = desk.check("registrar", more=("--at", "2030-01-01"))
    assert (code, said["problem"]) == (1, "it expired 2030-01-01T00:00:00Z")


def test_people_read_a_table(desk: Desk) -> None:
    desk.add(desk.request("carol"))
    desk.sign()
    ran = desk.run("check", desk.manifest, "--registrar-key", f"{desk.key('registrar')}.pub")
    assert ran.code == 0, ran
    assert re.search(
        r"^oidc:carol +ssh-ed25519 +SHA256:\S+ +of carol +Key +until 2099-03-01T00:00:00Z$", ran.out, re.MULTILINE
    )
    assert ran.err == "The file with serial 2 counts until 2099-03-01T00:00:00Z.\n"


def test_a_file_is_extended_without_a_new_key(desk: Desk) -> None:
    desk.add(desk.request("carol"))
    assert "there is nothing to add" in desk.run("add", desk.manifest).err
    desk.add(more=("--expires", "2100-01-01", "--unsigned"))
    desk.sign()
    said = desk.check("registrar")[1]
    assert (said["serial"], said["expires"], len(said["keys"])) == (3, "2100-01-01T00:00:00Z", 1)


def test_the_page_of_signed_reviews_can_be_typed(desk: Desk) -> None:
    desk.request("carol"), desk.request("carol", "carol-new"), desk.key("registrar")
    shell = OfflineShell(desk.folder)

    def typed(beginning: str) -> str:
        block = script("how-to/sign-reviews.md", beginning).replace("2027-12-01", "2099-12-01")
        block = re.sub(r"( --key registrar(?: --first)?)\n", r"\1 --yes\n", block)
        if "SHA256:" in block:
            (fingerprint, *_) = re.findall(r"SHA256:[A-Za-z0-9+/]+", shell.type(CHECK).out)
            block = block.replace("SHA256:0Yk1...", fingerprint)
        # There is no terminal to ask at.
        ran = shell.type(block)
        assert ran.code == 0, ran
        return ran.out

    typed("kubectl bailiwick reviewers add reviewers.yaml carol.txt --expires")
    assert "oidc:carol" in typed("kubectl bailiwick reviewers check reviewers.yaml")
    shell.succeed("git init --quiet --initial-branch main && git add reviewers.yaml && git commit --quiet -m first")
    last = "git show HEAD:reviewers.yaml > signed-last.yaml\nkubectl bailiwick reviewers"
    typed(f"{last} add reviewers.yaml carol-new.txt --valid-after")
    shell.succeed("git commit --quiet -am second")
    typed(f"{last} remove reviewers.yaml SHA256:0Yk1... --registrar-key")
    assert typed("kubectl bailiwick reviewers check reviewers.yaml").count("oidc:carol") == 1


def forged(text: str, forgery: str, other: str) -> str:
    line, _, proof = text.partition("\n")
    return {
        "another name": text.replace("oidc:carol", "oidc:mallory"),
        "a wildcard": text.replace("oidc:carol", "*"),
        "an authority": text.replace("namespaces=", "cert-authority,namespaces="),
        "another proof": f"{line}\n{other.partition(chr(10))[2]}",
        "no proof": line,
        "nothing": "",
        "two lines": f"{line}\n{text}",
        "a proof in pieces": f"{line}\n{proof[:200]}",
    }[forgery]


@pytest.mark.parametrize(
    "forgery",
    [
        "another name",
        "a wildcard",
        "an authority",
        "another proof",
        "no proof",
        "nothing",
        "two lines",
        "a proof in pieces",
    ],
)
def test_a_request_that_does_not_prove_its_key_changes_no_file(desk: Desk, forgery: str) -> None:
    desk.add(desk.request("carol"))
    desk.sign()
    before = desk.manifest.read_text()
    file = desk.folder / "forged.txt"
    file.write_text(forged(desk.request("carol", "next").read_text(), forgery, desk.request("dave").read_text()))
    ran = desk.run("add", desk.manifest, file)
    assert (ran.code, desk.manifest.read_text() == before) == (2, True), ran
    assert re.match("error: (the key cannot be enrolled|the proof of|there is no request)", ran.err), ran


def test_a_key_is_enrolled_once_and_a_new_file_needs_its_end(desk: Desk) -> None:
    request = desk.request("carol")
    assert "say with --expires when it ends" in desk.run("add", desk.manifest, request).err
    assert not desk.manifest.exists()
    desk.add(request)
    again = desk.run("add", desk.manifest, request, "--unsigned")
    assert (again.code, "a key belongs to one person, once" in again.err) == (2, True), again


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("request", "--key", "none", "--reviewer", "carol"), "none.pub cannot be read"),
        (("request", "--key", "{desk}/registrar", "--reviewer", "carol of crm"), "the key cannot be enrolled"),
        (("sign", "{desk}/none.yaml", "--key", "{desk}/registrar"), "none.yaml cannot be read"),
        (("sign", "{desk}/reviewers.yaml", "--key", "{desk}/none", "--first", "--yes"), "--key: there is no file"),
        (
            ("sign", "{desk}/reviewers.yaml", "--key", "{desk}/registrar", "--first"),
            "without a terminal, confirm with --yes",
        ),
        (("check", "{desk}/registrar.pub", "--registrar-key", "{desk}/registrar.pub"), "the manifest must be"),
        (("check", "{desk}/reviewers.yaml", "--registrar-key", "{desk}/reviewers.yaml"), "the registrars' keys of"),
        (
            ("check", "{desk}/reviewers.yaml", "--registrar-key", "{desk}/registrar.pub", "--registrar-quorum", "2"),
            "there are keys of 1 registrars",
        ),
        (("check", "{desk}/reviewers.yaml", "--registrar-key", "{desk}/registrar.pub", "--at", "soon"), "--at: 'soon'"),
    ],
)
def test_what_is_wrong_is_named(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    desk.add(desk.request("carol"))
    desk.key("registrar")
    ran = desk.run(*(one.format(desk=desk.folder) for one in arguments))
    assert (ran.code, said in ran.err) == (2, True), ran


@pytest.mark.invariant(30)
@pytest.mark.parametrize("signatures", ["kept", "dropped"])
def test_lines_that_no_signature_fits_are_not_taken_over_by_a_change(desk: Desk, signatures: str) -> None:
    desk.add(desk.request("carol"))
    desk.sign()
    line = f'oidc:boss namespaces="review@bailiwick.dev" {public_line(desk.key("mallory"))}'
    desk.put("of carol\n", f"of carol\n{line}\n")
    if signatures == "dropped":
        desk.put(desk.data["reviewers.sig"], "", "reviewers.sig")
    lost, before = "SHA256:unknown", desk.manifest.read_text()
    for change in (("add", desk.manifest, desk.request("erin")), ("remove", desk.manifest, lost)):
        ran = desk.run(*change, *desk.trust("registrar"))
        assert (ran.code, "no signature fits its lines" in ran.err) == (2, True), ran
    assert desk.manifest.read_text() == before
    assert desk.run("add", desk.manifest, desk.request("erin"), "--unsigned").code == 0


@pytest.mark.invariant(30)
def test_lines_that_a_stranger_signed_are_taken_over_by_no_change_and_no_signature(desk: Desk) -> None:
    desk.add(desk.request("carol"))
    desk.sign()
    desk.put(
        "of carol\n", f'of carol\noidc:boss namespaces="review@bailiwick.dev" {public_line(desk.key("mallory"))}\n'
    )
    desk.sign("mallory")
    older = desk.folder / "older.yaml"
    older.write_text(desk.manifest.read_text())
    erin = desk.request("erin")
    for change in (("add", desk.manifest, erin), ("remove", desk.manifest, "SHA256:unknown")):
        for trust, problem in (
            ((), "say with --registrar-key who your registrars are"),
            (desk.trust("registrar"), "registrars who signed it: 0, but 1 must"),
        ):
            ran = desk.run(*change, *trust)
            assert (ran.code, problem in ran.err) == (2, True), ran
    assert desk.manifest.read_text() == older.read_text()
    desk.add(erin, more=("--unsigned",))
    signing = (desk.manifest, "--key", desk.key("registrar"), "--yes")
    for flags, problem in (
        ((), "say with --since which manifest was signed last"),
        (("--since", older), "--since needs --registrar-key"),
        (("--since", older, *desk.trust("registrar")), "registrars who signed it: 0, but 1 must"),
        (("--since", older, "--first", *desk.trust("registrar")), "say with --since which manifest was signed last"),
        (("--first", *desk.trust("registrar")), "--registrar-key needs --since"),
    ):
        ran = desk.run("sign", *signing, *flags)
        assert (ran.code, problem in ran.err) == (2, True), ran
    assert desk.data["reviewers.sig"] == ""


def signed_since(desk: Desk) -> Path:
    """Return a copy of the manifest as it was signed last, before dave came and carol went."""
    desk.add(desk.request("carol"))
    desk.sign()
    before = desk.folder / "before.yaml"
    before.write_text(desk.manifest.read_text())
    desk.add(desk.request("dave"), more=desk.trust("registrar"))
    carols = parse_key_line(public_line(desk.key("carol"))).fingerprint
    assert desk.run("remove", desk.manifest, carols, "--unsigned").code == 0
    return before


@pytest.mark.invariant(30)
def test_a_registrar_is_shown_each_line_that_came_or_went_and_asked(desk: Desk) -> None:
    before = signed_since(desk)
    signing = ("sign", desk.manifest, "--key", desk.key("registrar"), "--since", before, *desk.trust("registrar"))
    for typed, code in (("n\n", 1), ("\n", 1), ("y\n", 0)):
        ran = commandline.run_at_terminal(
            "reviewers", *map(str, signing), kubeconfig=desk.folder / "none", typed={"[y/N]": typed}
        )
        assert ran.code == code, ran
        assert re.search(r"^\+ oidc:dave +ssh-ed25519 +SHA256:", ran.err, re.MULTILINE), ran
        assert re.search(r"^- oidc:carol +ssh-ed25519 +SHA256:", ran.err, re.MULTILINE), ran
        assert bool(desk.data["reviewers.sig"]) is (code == 0)
    # Nothing came or went: another registrar signs the same.
    desk.add(more=("--expires", "2100-01-01", *desk.trust("registrar")))
    since = ("--since", before, *desk.trust("registrar"))
    ran = desk.run("sign", desk.manifest, "--key", desk.key("two"), *since, "--yes")
    assert (ran.code, "+ oidc:dave" in ran.err) == (0, True), ran


@pytest.mark.invariant(30)
def test_what_is_compared_with_must_be_older_and_signed(desk: Desk) -> None:
    before = signed_since(desk)
    signing = (desk.manifest, "--key", desk.key("registrar"), "--yes", *desk.trust("registrar"), "--since")
    assert "is not older" in desk.run("sign", *signing, desk.manifest).err
    before.write_text(before.read_text().replace("oidc:carol", "oidc:mallory"))
    assert "no signature fits its lines" in desk.run("sign", *signing, before).err
    assert desk.data["reviewers.sig"] == ""


@pytest.mark.invariant(30)
def test_what_is_compared_with_must_be_of_the_same_installation(desk: Desk) -> None:
    """Registrars sign for several, and who reviews in one need not in another."""
    desk.add(desk.request("mallory"))
    desk.sign()
    staging = desk.folder / "staging.yaml"
    staging.write_text(desk.manifest.read_text())
    desk.put("# installation: test", "# installation: production")
    desk.put("# serial: 2", "# serial: 7")
    signing = (desk.manifest, "--key", desk.key("registrar"), "--yes", *desk.trust("registrar"), "--since", staging)
    ran = desk.run("sign", *signing)
    assert ran.code == 2, ran
    assert "is for installation test, and the manifest for production" in ran.err


OTHERS: Final = {
    "a binding of roles": {"kind": "ClusterRoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1"},
    "another version": {"apiVersion": "v2"},
    "no version": {"apiVersion": None},
    "another name": {"metadata": {"name": "bailiwick-guard"}},
    "no metadata": {"metadata": None},
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_other_object_is_taken_for_the_manifest(desk: Desk, name: str) -> None:
    desk.add(desk.request("carol"))
    desk.manifest.write_text(yaml.safe_dump(yaml.safe_load(desk.manifest.read_text()) | OTHERS[name]))
    for change in (
        ("add", desk.manifest, desk.request("dave"), "--unsigned"),
        ("sign", desk.manifest, "--key", desk.key("registrar"), "--yes"),
        ("check", desk.manifest, "--registrar-key", f"{desk.key('registrar')}.pub"),
    ):
        ran = desk.run(*change)
        assert (ran.code, "the manifest must be the ConfigMap bailiwick-reviewers" in ran.err) == (2, True), ran
