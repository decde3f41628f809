"""Policies of one namespace in the cluster, compiled by the engine as where they are served.

Standing: beside `policies`, which has those in files. Holds: what does not compile is reported, and denies as it does
there; nothing of it is left out.
"""

import time
from collections.abc import Callable, Iterable

from bailiwick_engine.compile.listing import Compiler, DataUnreadError, Object, Tell, compile_listed
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_governance.apiserver.cluster import ClusterClient, policies_path
from bailiwick_governance.display import talk
from bailiwick_governance.errors import UserError
from bailiwick_kube.paths import data_path


def read_namespace(cluster: ClusterClient) -> Snapshot:
    """Compile the policies of a namespace. Who is over budget there, their status says."""
    items, _ = cluster.list_all(policies_path(cluster.namespace))
    return compile_objects(items, lambda: cluster.list_all(data_path(cluster.namespace))[0], talk)


def compile_objects(
    items: Iterable[Object], data: Callable[[], Iterable[Object]], tell: Tell, compiler: Compiler = compile_object
) -> Snapshot:
    """Compile policies of one namespace. `data` reads its `EndpointData`, where one is asked for; it may raise.

    What is wrong is reported, a line at a time.
    """

    def read_data() -> Iterable[Object]:
        try:
            return data()
        except UserError as error:
            raise DataUnreadError(str(error)) from error

    return compile_listed(items, read_data, tell, time.time(), compiler)
