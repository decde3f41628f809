"""Kubernetes before 1.37 has no guards on the disk of an API server, and is never taken for one that has.

Holds: 1.36, where a feature gate is off, does not start with the configuration of keep. By its sources, 1.35 starts
with it and does not read it, so that only the probe tells that it keeps nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from cluster.operator.grants.grants import Grants
from cluster.operator.guard.test_guard import never_active
from cluster.operator.guard.test_keep import EVERYWHERE, Addresses, recorded
from cluster.operator.operatorprocess import NewOperator
from localcluster import build, versions
from localcluster.controlplane import ControlPlane, Settings
from localcluster.errors import StartError
from support.callers import Callers
from support.installation import accepted
from support.keepfolder import KeepFolder
from support.versions import BEFORE_1_37
from support.waits import until

pytestmark = BEFORE_1_37

# Its plugin takes a configuration and drops it.
UNREAD: Final = versions.chosen().word == "1.35"


@pytest.fixture(scope="module")
def keep_folder(tmp_path_factory: pytest.TempPathFactory) -> KeepFolder:
    folder = KeepFolder(tmp_path_factory.mktemp("keep"))
    folder.put()
    return folder


@pytest.fixture(scope="module")
def plane(keep_folder: KeepFolder) -> Iterator[ControlPlane]:
    configuration = keep_folder.flags if UNREAD else ()
    with ControlPlane(build.ensure(), settings=Settings(apiserver_flags=(*configuration, *EVERYWHERE))) as plane:
        yield plane


@pytest.mark.skipif(UNREAD, reason="it starts, and the test of the operator is on it")
def test_an_api_server_whose_gate_is_off_does_not_start_with_the_configuration(
    keep_folder: KeepFolder, tmp_path: Path
) -> None:
    plane = ControlPlane(build.ensure(), tmp_path / "plane", Settings(apiserver_flags=keep_folder.flags))
    gate = "staticManifestsDir requires the ManifestBasedAdmissionControlConfig feature gate to be enabled"
    with pytest.raises(StartError, match=gate):
        plane.start()


@pytest.mark.invariant(27)
def test_where_keep_is_required_nothing_counts_and_the_operator_says_which_version_has_it(
    new_operator: NewOperator, plane: ControlPlane, callers: Callers, installed: Installation, grants: Grants
) -> None:
    Addresses(callers).write(plane.cluster)
    body = grants.open()
    operator = new_operator("--proof-interval", "1", "--guard-settle", "0", "--require-keep", "true").start()
    try:
        (entry, *_) = operator.await_said("the guards over grants are not proven: no grant is approved")
        assert "1 of 1 addresses of API servers do not keep the guards from their disk" in entry["problem"]
        assert "it has no bailiwick-keep" in entry["problem"]
        assert entry["problem"].endswith("static manifests (Kubernetes 1.37 or later)")
        accepted(grants.review(body, "dave"))
        never_active(grants, body, 3)
    finally:
        operator.stop()


def test_where_it_is_not_required_the_guards_are_proven_and_none_is_recorded_as_kept(
    new_operator: NewOperator, plane: ControlPlane, callers: Callers, installed: Installation
) -> None:
    Addresses(callers).write(plane.cluster)
    with new_operator("--proof-interval", "1", "--guard-settle", "0"):
        until(lambda: recorded(callers, installed) == "0/1", "the one API server keeps nothing")
