"""The API server is of the version of Kubernetes that this run chooses: by its programs, or as its own emulate it."""

from localcluster import versions
from localcluster.access import Cluster


def test_the_api_server_is_of_the_version_that_is_chosen(cluster: Cluster) -> None:
    version = versions.chosen()
    answer = cluster.rest().get("/version").body
    assert answer["gitVersion"] == version.pinned
    # A server that emulates nothing says so by its own version, or not at all.
    emulated = f"{answer['major']}.{answer.get('emulationMinor', answer['minor'])}"
    assert emulated == version.minor
