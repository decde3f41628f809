"""What a release is made of, as far as it needs no program and no registry."""

import hashlib
import json
import os
import re
import tarfile
import tomllib
from io import BytesIO
from pathlib import Path

import pytest
import yaml

import generate_version
from releasemaker import chart, exploitability, imageindex, layouts, notes, provenance, releaselist, sums
from releasemaker.archives import Entry, folder_entries, tar_gzip
from releasemaker.errors import ReleaseError
from releasemaker.source import CHART, Source, stated_versions

ROOT = Path(__file__).resolve().parents[2]
# What starts a program of the system, and the program.
STARTS = re.compile(
    r"subprocess\.(?:run|Popen|call|check_\w+)\(|create_subprocess_\w+\(|webbrowser\.open"
    r"|os\.(?:system|popen|exec\w+|spawn\w+|posix_spawn\w*)\(|pty\.spawn"
)
STARTED = {
    "bailiwick_notifications/sending/servicecall.py": "python",
    "bailiwick_webhook/admission/bench.py": "python",
    "bailiwick_operator/coverage/counter.py": "python",
    "bailiwick_cli/sources/gitfiles.py": "git",
    "bailiwick_cli/sshkeygen.py": "ssh-keygen",
    "bailiwick_console/server.py": "a browser",
    "bailiwick/testing.py": "python",
}
DIGEST = "sha256:" + "a" * 64


def source(folder: Path) -> Source:
    return Source(folder, "1.2.3", "c0ffee", 1_700_000_000)


class TestTheVersion:
    def test_is_the_same_in_every_file_that_states_one(self) -> None:
        stated = stated_versions(ROOT)
        assert len(stated) == 7
        assert len(set(stated.values())) == 1, stated

    @pytest.mark.parametrize("path", generate_version.paths(), ids=lambda path: str(path.relative_to(ROOT)))
    def test_is_written_from_the_project_wherever_else_it_stands(self, path: Path) -> None:
        stated = stated_versions(ROOT)["pyproject.toml"]
        text = path.read_text(encoding="utf-8")
        assert generate_version.rendered(path, stated) == text
        assert generate_version.rendered(path, "9.8.7").count("9.8.7") > text.count("9.8.7")

    def test_is_written_in_names_of_files_and_images_and_not_where_a_release_before_is_meant(self) -> None:
        page = ROOT / "docs" / "operations" / "releases.md"
        assert page in generate_version.paths()
        written = generate_version.rendered(page, "9.8.7")
        assert "make release VERSION=9.8.7 " in written
        assert "`bailiwick-webhook-9.8.7.oci.tar`" in written
        assert "SLSA provenance v1" in written
        assert not [path for path in generate_version.paths() if path.parent.name == "adr"]
        upgrade = ROOT / "docs" / "operations" / "upgrade.md"
        assert "The last release is 0.1.0" in generate_version.rendered(upgrade, "9.8.7")

    def test_comes_after_the_releases_before_of_which_the_changelog_tells_each(self, tmp_path: Path) -> None:
        stated = stated_versions(ROOT)["pyproject.toml"]
        before = [release.version for release in releaselist.read(ROOT)]
        assert tuple(map(int, stated.split("."))) > tuple(map(int, before[-1].split(".")))
        for version in before:
            _, own = notes.build(Source(ROOT, version, "c0ffee", 0), tmp_path)
            assert own, version
        notes.build(Source(ROOT, stated, "c0ffee", 0), tmp_path)


class TestTheReleasesBefore:
    def test_each_is_named_by_a_version_and_a_commit_the_newest_last(self) -> None:
        assert releaselist.read(ROOT)[0].version == "0.1.0"

    @pytest.mark.parametrize(
        "rows",
        [
            [],
            [("0.1", "a" * 40)],
            [("0.1.0", "a" * 8)],
            [("0.1.0", "main")],
            [("0.10.0", "a" * 40), ("0.9.0", "b" * 40)],
            [("0.1.0", "a" * 40), ("0.1.0", "b" * 40)],
        ],
        ids=["none", "short version", "short commit", "a branch", "newest first", "twice"],
    )
    def test_a_list_that_names_them_otherwise_is_refused(self, tmp_path: Path, rows: list[tuple[str, str]]) -> None:
        (tmp_path / "hack").mkdir()
        text = "".join(f'[[release]]\nversion = "{version}"\ncommit = "{commit}"\n' for version, commit in rows)
        (tmp_path / releaselist.FILE).write_text(text)
        with pytest.raises(ReleaseError, match=r"releases\.toml"):
            releaselist.read(tmp_path)

    def test_a_commit_that_is_not_here_says_what_to_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
        absent = releaselist.NamedRelease("0.1.0", "0" * 40)
        with pytest.raises(ReleaseError, match="git fetch --unshallow"):
            releaselist.prepare(ROOT, absent)


class TestAnArchive:
    def test_depends_on_names_contents_and_executability_alone(self, tmp_path: Path) -> None:
        for name, mode in (("one", 0o644), ("two", 0o600)):
            folder = tmp_path / name
            folder.mkdir()
            for file in ("b", "a") if name == "one" else ("a", "b"):
                (folder / file).write_text(file)
                (folder / file).chmod(mode)
            os.utime(folder / "a", (1, 1) if name == "one" else (2, 2))
        first, second = (tar_gzip(folder_entries(tmp_path / name), 5) for name in ("one", "two"))
        assert first == second
        assert tar_gzip({"a": Entry(b"a", executable=True), "b": Entry(b"b")}, 5) != first

    def test_has_its_entries_in_order_and_of_nobody(self) -> None:
        content = tar_gzip({"b/c": Entry(b"1", executable=True), "a": Entry(b"2")}, 7)
        with tarfile.open(fileobj=BytesIO(content)) as archive:
            found = [(one.name, one.mode, one.mtime, one.uid, one.uname) for one in archive]
        assert found == [("a", 0o644, 7, 0, ""), ("b/c", 0o755, 7, 0, "")]


class TestTheChart:
    def test_of_a_release_has_what_helm_needs_and_nothing_that_is_ignored(self) -> None:
        names = chart.chart_entries(ROOT / CHART).keys()
        assert {"bailiwick/Chart.yaml", "bailiwick/values.yaml", "bailiwick/values.schema.json"} <= names
        assert not [name for name in names if name.startswith(("bailiwick/ci/", "bailiwick/argocd/"))]
        assert "bailiwick/templates/webhook/deployment.yaml" in names

    def test_names_registry_and_digests_and_is_otherwise_unchanged(self) -> None:
        text = (ROOT / CHART / "values.yaml").read_text()
        changed = chart.with_images(text, "registry.example/x", {"webhook": DIGEST, "console": DIGEST})
        before, after = yaml.safe_load(text), yaml.safe_load(changed)
        assert after["global"]["imageRegistry"] == "registry.example/x"
        assert [after[part]["image"]["digest"] for part in ("webhook", "operator", "console")] == [DIGEST, "", DIGEST]
        after["global"]["imageRegistry"] = after["webhook"]["image"]["digest"] = after["console"]["image"]["digest"] = (
            ""
        )
        assert after == before
        lines = zip(text.splitlines(), changed.splitlines(), strict=True)
        assert sum(old != new for old, new in lines) == 3

    def test_lists_its_images_for_artifact_hub_once_they_are_built(self) -> None:
        text = (ROOT / CHART / "Chart.yaml").read_text()
        values = yaml.safe_load((ROOT / CHART / "values.yaml").read_text())
        references = chart.image_references(values, "registry.example/x", {"webhook": DIGEST, "console": DIGEST})
        after = yaml.safe_load(chart.with_annotation(text, references))
        assert yaml.safe_load(after["annotations"].pop("artifacthub.io/images")) == [
            {"name": "console", "image": f"registry.example/x/bailiwick-cli@{DIGEST}"},
            {"name": "webhook", "image": f"registry.example/x/bailiwick-webhook@{DIGEST}"},
        ]
        assert after == yaml.safe_load(text)
        assert chart.with_annotation(text, {}) == text

    @pytest.mark.parametrize(
        ("values", "why"),
        [
            ("global:\n  imageRegistry: elsewhere\n", "global.imageRegistry is not empty"),
            ("image:\n  registry: ''\n", "has no global.imageRegistry"),
        ],
    )
    def test_whose_values_are_not_as_expected_is_refused(self, values: str, why: str) -> None:
        with pytest.raises(ReleaseError, match=why):
            chart.with_images(values, "registry.example", {})

    @pytest.mark.parametrize("line", ["!keep", "/rooted", "a/b"])
    def test_with_a_pattern_that_this_program_does_not_know_is_refused(self, line: str, tmp_path: Path) -> None:
        (tmp_path / ".helmignore").write_text(f"{line}\n")
        with pytest.raises(ReleaseError, match="does not know"):
            chart.chart_entries(tmp_path)


class TestALayout:
    def test_has_the_digest_that_a_registry_gives_its_manifest(self, tmp_path: Path) -> None:
        config, layer = layouts.Blob("text/plain", b"{}"), layouts.Blob("text/plain", b"content")
        top = layouts.manifest(config, [layer], {"a": "b"})
        path = tmp_path / "layout.tar"
        path.write_bytes(layouts.layout(top, "1", [config, layer], 3))
        assert layouts.layout_digest(path) == f"sha256:{hashlib.sha256(top.content).hexdigest()}"

    def test_that_is_none_is_refused_by_its_name(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.tar"
        path.write_bytes(b"\0" * 10240)
        with pytest.raises(ReleaseError, match=r"broken\.tar is no OCI layout"):
            layouts.layout_digest(path)


class TestAnIndex:
    def image(self, path: Path, platform: str) -> tuple[Path, layouts.Blob]:
        # Both have one layer in common, as images of one commit may.
        config, layers = layouts.Blob("text/plain", platform.encode()), [layouts.Blob("text/plain", b"common")]
        top = layouts.manifest(config, layers, {})
        path.write_bytes(layouts.layout(top, "built", [config, *layers], 3))
        return path, top

    def test_keeps_the_digest_of_the_image_of_each_platform(self, tmp_path: Path) -> None:
        made = {word: self.image(tmp_path / word, word) for word in imageindex.PLATFORMS}
        digests = [
            imageindex.join({word: path for word, (path, _) in order}, tmp_path / "joined", "1.2.3", 7)
            for order in (list(made.items()), list(made.items())[::-1])
        ]
        assert digests == [layouts.layout_digest(tmp_path / "joined")] * 2
        with imageindex.open_layout(tmp_path / "joined") as joined:
            assert {word: one.digest for word, one in joined.images().items()} == {
                word: top.digest for word, (_, top) in made.items()
            }
            for one in joined.images().values():
                for blob in (one.manifest["config"], *one.manifest["layers"]):
                    content = joined.blob(blob["digest"]).read()
                    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == blob["digest"]

    def test_of_one_platform_names_no_other(self, tmp_path: Path) -> None:
        path, _ = self.image(tmp_path / "one", "linux-amd64")
        imageindex.join({"linux-amd64": path}, tmp_path / "joined", "1.2.3", 7)
        with imageindex.open_layout(tmp_path / "joined") as joined:
            assert joined.images().keys() == {"linux-amd64"}

    def test_is_of_the_platform_of_the_machine_that_builds(self) -> None:
        assert [imageindex.platform_word(one) for one in ("x86_64", "aarch64")] == list(imageindex.PLATFORMS)
        with pytest.raises(ReleaseError, match="this machine is riscv64"):
            imageindex.platform_word("riscv64")

    def test_is_what_a_release_needs_and_not_a_bare_image(self, tmp_path: Path) -> None:
        path, _ = self.image(tmp_path / "bare.tar", "linux-amd64")
        with imageindex.open_layout(path) as bare, pytest.raises(ReleaseError, match=r"bare\.tar holds no index"):
            bare.images()
        (tmp_path / "broken.tar").write_bytes(b"no archive")
        with (
            pytest.raises(ReleaseError, match=r"broken\.tar is no OCI layout"),
            imageindex.open_layout(tmp_path / "broken.tar"),
        ):
            pass


class TestNotes:
    changelog = "# C\n\n## [Unreleased]\n\nsoon\n\n## [1.2.3] - 2026-01-01\n\n### Fixed\n\nthis\n\n## [1.2.2]\n\nold\n"

    def test_are_the_section_of_the_version(self, tmp_path: Path) -> None:
        (tmp_path / "CHANGELOG.md").write_text(self.changelog)
        path, own = notes.build(source(tmp_path), tmp_path)
        assert (path.read_text(), own) == ("# Bailiwick 1.2.3\n\n### Fixed\n\nthis\n", True)

    def test_are_what_is_unreleased_where_the_version_has_no_section(self, tmp_path: Path) -> None:
        (tmp_path / "CHANGELOG.md").write_text(self.changelog.replace("[1.2.3]", "[1.3.0]"))
        path, own = notes.build(source(tmp_path), tmp_path)
        assert (path.read_text(), own) == ("# Bailiwick 1.2.3\n\nsoon\n", False)

    def test_that_say_nothing_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "CHANGELOG.md").write_text("## [1.2.3]\n\n## [1.2.2]\n\nold\n")
        with pytest.raises(ReleaseError, match=r"says nothing of 1\.2\.3"):
            notes.build(source(tmp_path), tmp_path)


class TestStatements:
    def test_of_provenance_are_the_same_for_one_commit_whenever_it_is_built(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("content")
        built = [provenance.build(source(tmp_path), tmp_path, [file], {"i": DIGEST}, DIGEST).read_bytes() for _ in "12"]
        assert built[0] == built[1]
        subjects = {one["name"]: one["digest"]["sha256"] for one in json.loads(built[0])["subject"]}
        assert subjects == {"file": sums.sha256(file), "oci:i": "a" * 64, "oci:charts/bailiwick": "a" * 64}

    def test_of_openvex_name_an_image_by_digest_once_it_is_built(self, tmp_path: Path) -> None:
        path = exploitability.build(source(tmp_path), tmp_path, {"bailiwick-webhook": DIGEST})
        products = {
            one["@id"] for statement in json.loads(path.read_bytes())["statements"] for one in statement["products"]
        }
        assert f"pkg:oci/bailiwick-webhook@sha256%3A{'a' * 64}" in products
        assert "pkg:oci/bailiwick-operator?tag=1.2.3" in products

    def test_of_openvex_are_true_since_no_program_is_started_but_these(self) -> None:
        packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
        found = {
            f"{Path(package).name}/{path.relative_to(ROOT / package)}"
            for package in packages["packages"]
            for path in (ROOT / package).rglob("*.py")
            if STARTS.search(path.read_text(encoding="utf-8"))
        }
        # Another program here: read exploitability.toml again, and say in it what is still true.
        assert found == STARTED.keys()
        assert {one["package"] for one in exploitability.statements()} == {
            "pkg:deb/debian/apt",
            "pkg:deb/debian/libapt-pkg6.0",
            "pkg:deb/debian/tar",
        }

    def test_of_openvex_use_its_words(self) -> None:
        words = {
            "component_not_present",
            "vulnerable_code_not_present",
            "vulnerable_code_not_in_execute_path",
            "vulnerable_code_cannot_be_controlled_by_adversary",
            "inline_mitigations_already_exist",
        }
        for statement in exploitability.statements():
            assert statement["justification"] in words
            assert {"vulnerability", "images", "package", "reason"} < statement.keys()
