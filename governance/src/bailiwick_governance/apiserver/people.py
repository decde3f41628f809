"""Who types, and what they may: asked of the API server, never believed of a flag."""

from dataclasses import dataclass

from bailiwick_api.kinds.meta import ENDPOINT_POLICIES, GROUP
from bailiwick_governance.apiserver.cluster import ClusterClient


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """The person or account, as the API server names it."""

    username: str
    groups: tuple[str, ...]
    uid: str | None = None


def who_am_i(cluster: ClusterClient) -> CurrentUser:
    """Return who the API server takes us for."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = cluster.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
    info = answer["status"]["userInfo"]
    return CurrentUser(info["username"], tuple(info.get("groups") or ()), info.get("uid"))


class Permissions:
    """What we may do with policies and grants; each question is asked once."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._known: dict[tuple[str, str, str, str], bool] = {}

    def may(self, verb: str, namespace: str, name: str, resource: str = ENDPOINT_POLICIES) -> bool:
        """Tell whether we hold a verb on a policy, or on an object of another resource."""
        key = (verb, namespace, name, resource)
        if key not in self._known:
            attributes = {
                "group": GROUP,
                "resource": resource,
                "verb": verb,
                "namespace": namespace,
                "name": name,
            }
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
            answer = self._cluster.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
            self._known[key] = answer["status"].get("allowed") is True
        return self._known[key]
