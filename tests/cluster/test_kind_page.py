"""docs/tutorials/kind.md, typed on a bare API server in front of our processes; and its images, as in the chart."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from demo import install
from demo.narrator import Silent
from demo.stack import Stack
from localcluster import build
from localcluster.controlplane import ControlPlane
from support import charts, commandline
from support.pages import DOCS, needs, script
from support.shell import Shell, succeeded
from support.stacks import stack_on
from support.tutorials import MARK, section, shown, typed

PAGE: Final = "tutorials/kind.md"
GRANT: Final = re.compile(r"agr-[a-z0-9]+")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Stack]:
    """An API server of this test alone, with Bailiwick and no policy."""
    with ControlPlane(build.ensure()) as plane, stack_on(plane.cluster, tmp_path) as stack:
        install.bailiwick(stack, Silent())
        stack.start_operator()
        stack.await_guard()
        stack.start_decision_point()
        yield stack


@pytest.mark.long
@needs("curl", "jq")
def test_the_quickstart_takes_a_call_through_its_whole_life(empty: Stack) -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    # Here the decision point answers without TLS, and under its own address.
    url = f"PDP={empty.decision_points[0].url}\n"
    start = script(PAGE, "until kubectl get configmap bailiwick-guard")
    asks = "".join([start, url, *typed(section(text, "3. Apply a policy", "5. Approve it"))])
    asks = asks.replace("--cacert ca.crt --connect-to ::localhost:8443", "--noproxy '*'")
    before, after = section(text, "5. Approve it", "6. Tidy up").split("<!-- not run: it asks at a terminal")
    shell = Shell(empty.cluster, PAGE)
    state = "declare -p TASK ENFORCER AGENT CALL PDP; declare -f post\n"
    said = succeeded(shell.type(asks + "".join(typed(before)) + f"echo {MARK}\n{state}"))
    reason, task, listed, kept = said.split(f"{MARK}\n")
    assert reason.endswith(f"\n{shown(text)[0]}\n")
    assert task.strip() == "agr-..."
    assert "customers.export" in listed
    (grant,) = GRANT.findall(listed)
    approve(empty, grant)
    answers = succeeded(shell.type(kept + "".join(typed(after.partition("\n```\n")[2]))))
    waited, first, shows = answers.split(f"{MARK}\n")
    assert [waited.splitlines()[-1], first.strip()] == shown(text)[2:]
    assert "Consumed" in shows


def approve(stack: Stack, grant: str) -> None:
    """Approve as the page says, at a terminal."""
    words = shlex.split(script(PAGE, "kubectl bailiwick approve"))[2:]
    ran = commandline.run_at_terminal(
        *(grant if word.startswith("${TASK") else word for word in words),
        kubeconfig=stack.cluster.kubeconfig("admin"),
        typed={"The reason, for the record:": "the audit\n", "[y/N]": "y\n"},
    )
    assert ran.code == 0, ran


def test_the_images_of_the_quickstart_are_those_that_the_chart_names_with_its_values() -> None:
    flags = shlex.split(script(PAGE, "helm install").replace("\\\n", " "))
    assert flags[flags.index("--set") + 1] == "image.pullPolicy=Never"
    values = charts.ci(DOCS.parent / flags[flags.index("--values") + 1]) | {"image": {"pullPolicy": "Never"}}
    rendered = "".join(charts.texts(values).values())
    (loaded,) = re.findall(r"kind load docker-image (.*) --name", script(PAGE, "docker build"))
    assert set(re.findall(r"^ +image: \"?([\w./:-]+)", rendered, re.MULTILINE)) == set(loaded.split())
    assert set(re.findall(r"-t (\S+)", script(PAGE, "docker build"))) == set(loaded.split())
    assert set(re.findall(r"imagePullPolicy: (\w+)", rendered)) == {"Never"}
