"""The two Dockerfiles stand apart, since none includes another; what one of them learns, the other has too."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
# What a component is for, and where it listens.
OWN: Final = re.compile(r"#|EXPOSE |.* org\.opencontainers\.image\.description=")
NAMES: Final = re.compile("webhook|operator")


def text(component: str) -> str:
    return (ROOT / component / "Dockerfile").read_text(encoding="utf-8")


def shape(component: str) -> list[str]:
    return [NAMES.sub("it", line) for line in text(component).splitlines() if not OWN.match(line)]


def test_the_images_of_both_components_are_built_alike() -> None:
    assert len(shape("webhook")) > 30
    assert shape("webhook") == shape("operator")


def test_each_image_leaves_out_the_other_component_the_command_line_and_the_sdk() -> None:
    for component, other in (("webhook", "operator"), ("operator", "webhook")):
        absent = " ".join(f"/opt/bailiwick/lib/{name}" for name in (f"bailiwick_{other}", "bailiwick_cli", "bailiwick"))
        assert f"rm -r {absent} \\\n" in text(component)
        assert f'ENTRYPOINT ["python3", "-m", "bailiwick_{component}"]' in text(component)
