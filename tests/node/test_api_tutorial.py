"""`docs/tutorials/protect-an-api-in-a-cluster.md`, typed on a node: its API runs in a pod."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import oncluster
from demo.incluster import InCluster
from demo.narrator import Silent
from localcluster.node import images
from localcluster.node.cluster import NodeCluster
from localcluster.progress import Silent as NoProgress
from support.pages import DOCS
from support.shell import Shell, succeeded
from support.tutorials import MARK, WITHOUT_NETWORK, section, shown, typed, with_free_ports
from support.waits import until

FIRST = "tutorials/protect-an-api.md"
PAGE = "tutorials/protect-an-api-in-a-cluster.md"
# As `docker build -t` and `docker save` name it for a node.
IMAGE = "docker.io/library/shop-api:1"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def page(ground: InCluster) -> Iterator[str]:
    """The page and the first tutorial, in front of an installed chart; the port of the API is one that is free here."""
    ground.install(Silent(), oncluster.values(ground.cluster.server))
    # Other tests of the node have a namespace of this name, and may have come before or come after.
    _clear(ground, "shop")
    # What the first tutorial left listens on the same port.
    both = "".join((DOCS / each).read_text(encoding="utf-8") for each in (PAGE, FIRST))
    yield with_free_ports(both, "8000")
    _clear(ground, "shop")


def _clear(ground: InCluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    ground.cluster.rest().delete(path)
    until(lambda: ground.cluster.rest().get(path).status == 404, f"the namespace {namespace} is gone", 120)


def test_the_api_of_the_tutorial_asks_from_its_pod(
    page: str, bed: NodeCluster, ground: InCluster, tmp_path: Path
) -> None:
    # What the first tutorial left.
    policy = typed(section(page, "2. Write the policy", "3. Test it"))
    api, *_ = typed(section(page, "5. Guard the API", "6. Be the agent"))
    shell = Shell(ground.cluster, PAGE, tmp_path, BAILIWICK=str(DOCS.parent), **WITHOUT_NETWORK)

    until_image, from_pod = section(page, "1. Apply the policy", "What you can do next").split("\nBuild the image and ")
    succeeded(shell.type("".join([*policy, api, *typed(until_image)])))

    archive = tmp_path / "image.tar"
    images.build_folder(NoProgress(), tmp_path, images.Image(IMAGE, archive))
    bed.load(archive)

    said = succeeded(shell.type("".join(typed(from_pod))))
    said_by_each = [part.strip() for part in said.split(f"{MARK}\n")[:-1]]
    # What kubectl says between two consoles comes before what the first command of the second prints.
    assert [one for one, other in zip(said_by_each, shown(from_pod), strict=True) if not one.endswith(other)] == []
    # The approval itself is not shown on the page.
    assert said_by_each[-2:] == shown(from_pod)[-2:]
