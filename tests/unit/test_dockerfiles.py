"""The Dockerfiles stand apart, since none includes another; what one of them learns, the others have too."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from localcluster.node import images

ROOT: Final = Path(__file__).parents[2]
# What asks as a person.
PEOPLES: Final = ("bailiwick_governance", "bailiwick_console", "bailiwick_cli")
# Each image: the folder of its Dockerfile, its lock, the package that it runs, and the packages that it leaves out.
IMAGES: Final = {
    "webhook": (
        "webhook",
        "webhook",
        "bailiwick_webhook",
        ("bailiwick_operator", "bailiwick_coverage", *PEOPLES, "bailiwick"),
    ),
    "operator": ("operator", "operator", "bailiwick_operator", ("bailiwick_webhook", *PEOPLES, "bailiwick")),
    "mcp-gateway": ("sdk", "gateway", "bailiwick.mcp.gateway", ("bailiwick_*",)),
    "cli": ("cli", "cli", "bailiwick_cli", ("bailiwick_webhook", "bailiwick_operator", "bailiwick")),
}
# What a component is for, and where it listens.
OWN: Final = re.compile(r"#|EXPOSE |.* org\.opencontainers\.image\.description=|    && rm -r /opt/")


def text(image: str) -> str:
    return (ROOT / IMAGES[image][0] / "Dockerfile").read_text(encoding="utf-8")


def shape(image: str) -> list[str]:
    _, lock, package, _ = IMAGES[image]
    names = re.compile("|".join(map(re.escape, (f"bailiwick-{image}", package, f"requirements/{lock}.txt"))))
    return [names.sub("it", line) for line in text(image).splitlines() if not OWN.match(line)]


def source_folders() -> list[str]:
    """Return the folders that the distribution takes its packages from, such as `crds/src`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return sorted({package.rpartition("/")[0] for package in packages})


def test_every_image_is_here() -> None:
    assert set(IMAGES) == set(images.ALL)


@pytest.mark.parametrize("image", IMAGES)
def test_the_images_of_all_components_are_built_alike(image: str) -> None:
    assert len(shape("webhook")) > 30
    assert shape(image) == shape("webhook")


@pytest.mark.parametrize("image", IMAGES)
def test_each_image_runs_its_package_and_leaves_out_the_others(image: str) -> None:
    _, lock, package, others = IMAGES[image]
    absent = " ".join(f"/opt/bailiwick/lib/{name}" for name in others)
    assert f"rm -r {absent} \\\n" in text(image)
    assert f'ENTRYPOINT ["python3", "-m", "{package}"]' in text(image)
    assert f"!requirements/{lock}.txt" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("image", IMAGES)
def test_each_image_is_built_from_every_package_of_the_distribution(image: str) -> None:
    copied = re.findall(r"^COPY (\S+/src) \1$", text(image), re.MULTILINE)
    assert sorted(copied) == source_folders()


def test_every_package_of_the_distribution_is_sent_to_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^!(\S+/src)$", ignored, re.MULTILINE)) == source_folders()
