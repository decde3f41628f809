"""The API server behaves as the minor version of Kubernetes that this run asks for, or as its own."""

import os

from localcluster.access import Cluster
from localcluster.components import EMULATED


def test_the_api_server_is_of_the_minor_version_that_is_asked_for(cluster: Cluster) -> None:
    version = cluster.rest().get("/version").body
    asked = os.environ.get(EMULATED, "").removeprefix("1.")
    assert version.get("emulationMinor", version["minor"]) == (asked or version["minor"])
