"""The decision point for arm64 decides: its own programs run, on an emulator of the processor.

Needs root, to change into the image. Where `qemu-aarch64-static` is missing, the test is skipped.
"""

import json
import os
import tarfile
from pathlib import Path
from typing import Final

import pytest
import yaml

from localcluster.node import needs
from release.conftest import MadeRelease
from releasemaker import imageindex
from support.objects import gated_rule, policy, rule, settings
from support.pdp.standalone import Process
from support.pdp.tenant import PLENTY, STEPS
from support.waits import until

# An emulator takes some ten times as long.
_START_SECONDS: Final = 300
_EMULATOR: Final = "qemu-aarch64-static"


def unpacked(release: MadeRelease, folder: Path) -> list[str]:
    """Unpack the image of the decision point for arm64; returns the command that starts it, as the image has it."""
    with imageindex.open_layout(release.file("bailiwick-webhook-*.oci.tar")) as layout:
        image = layout.images()["linux-arm64"]
        for descriptor in image.manifest["layers"]:
            with tarfile.open(fileobj=layout.blob(descriptor["digest"]), mode="r|*") as layer:
                # A container gets its devices from its runtime.
                members = (member for member in layer if not member.isdev())
                layer.extractall(folder, members=members, filter="tar")
        config = json.load(layout.blob(image.manifest["config"]["digest"]))["config"]
    emulator = needs.find(_EMULATOR)
    assert emulator
    (folder / "emulator").write_bytes(emulator.read_bytes())
    (folder / "emulator").chmod(0o755)
    program, *arguments = config["Entrypoint"]
    own = ["/usr/bin/env", "--ignore-environment", *config["Env"]]
    return [*own, "/usr/sbin/chroot", str(folder), "/emulator", f"/usr/bin/{program}", *arguments]


@pytest.mark.skipif(needs.find(_EMULATOR) is None, reason=f"needs {_EMULATOR}, of Debian's qemu-user-static")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change into the image")
def test_the_decision_point_for_arm64_allows_and_denies(
    release: MadeRelease, images: dict[str, str], tmp_path: Path
) -> None:
    assert "bailiwick-webhook" in images
    root = tmp_path / "root"
    command = unpacked(release, root)
    # The same path inside and outside.
    files = root / tmp_path.relative_to("/") / "files"
    files.mkdir(parents=True)
    (tmp_path / "files").symlink_to(files)
    gated = gated_rule(approval={"steps": STEPS, "limits": PLENTY})
    written = policy("crm", endpointSettings=settings(), rules=[rule(), gated])
    (files / "crm.yaml").write_text(yaml.safe_dump(written))
    with (tmp_path / "log").open("wb") as log:
        point = Process(tmp_path / "files", tmp_path / "files", log, command=command, await_ready=False)
        try:
            until(lambda: point.readiness()[0] == 200, "ready", _START_SECONDS)
            allowed, denied = point.ask("customers.list"), point.ask("customers.export")
        finally:
            assert point.stop() == 0
    assert (allowed.decision, denied.decision) == (True, False), (allowed, denied)
    assert len(point.records.read_text().splitlines()) >= 2
