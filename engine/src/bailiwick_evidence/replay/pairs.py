"""Pairs: one endpoint as it was and as it would be, with shared choices in place of unknown values.

Standing: under `knowledge`. Holds: a value that is the same for the engine on both sides has the same outcome on both.
"""

from collections.abc import Sequence
from typing import Final

from bailiwick_engine.policy.model import CompiledPolicy, CompiledSettings
from bailiwick_engine.policy.snapshot import CompiledEndpoint, endpoint_of
from bailiwick_evidence.derive.choices import Choices, Unknowns, standing_in, values_listed
from bailiwick_evidence.derive.texts import KnownEndpoint

_STAND_INS: Final = 256
JointSides = tuple[CompiledEndpoint | None, CompiledEndpoint | None, Choices]


class EndpointPair:
    """Both states. None: the endpoint has no policies."""

    def __init__(self, old: KnownEndpoint | None, new: KnownEndpoint | None) -> None:
        self.old = None if old is None else old.compiled
        self.new = None if new is None else new.compiled
        self.same = old is new
        self._policies = [() if side is None else side.policies for side in (old, new)]
        self._stand_ins: dict[Unknowns, JointSides] = {}

    @property
    def endpoints(self) -> tuple[CompiledEndpoint, ...]:
        """The states that exist."""
        return tuple(side for side in (self.old, self.new) if side is not None)

    def joint(self, unknown: Unknowns) -> JointSides:
        """Return both with choices in place of unknown values, and the choices, at their first combination."""
        found = self._stand_ins.get(unknown)
        if found is None:
            choices = Choices()
            listed = values_listed([one for side in self._policies for one in side], unknown.property_names())

            def made(policies: Sequence[CompiledPolicy], side: CompiledEndpoint | None) -> CompiledEndpoint | None:
                if side is None:
                    return None
                return endpoint_of(standing_in(policy, unknown, choices, listed) for policy in policies)

            found = (made(self._policies[0], self.old), made(self._policies[1], self.new), choices)
            if len(self._stand_ins) >= _STAND_INS:
                self._stand_ins.clear()
            self._stand_ins[unknown] = found
        found[2].reset()
        return found


def settings_of(endpoint: CompiledEndpoint | None) -> CompiledSettings | None:
    """Return the settings of an endpoint, if there are any."""
    return None if endpoint is None else endpoint.settings
