"""Compiler: one policy compiled for the store, whatever it is: what cannot be compiled denies.

Standing: over the engine's compiler, under the policy controller. Holds: nothing that an object holds, and no defect of
the compiler, gets out of here as an exception.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from bailiwick_engine.compile.policies import compile_steps, salvage
from bailiwick_engine.policy.model import BrokenPolicy, PolicyRef
from bailiwick_engine.policy.replacements import replaced_by
from bailiwick_engine.steps import Steps
from bailiwick_policystore.endpoints import Key, Policy

_log = structlog.get_logger()


def compiled(key: Key, obj: dict[str, Any]) -> Steps[Policy]:
    """Return what an object is compiled to, in steps of an expression each."""
    try:
        return (yield from compile_steps(obj))
    except Exception:  # noqa: BLE001 - a defect of the compiler must not take the other policies along
        _log.exception("policy cannot be compiled, calls that it covers are denied", namespace=key[0], name=key[1])
    return _denying(key, obj)


def ref_of(key: Key, obj: Mapping[str, Any]) -> PolicyRef:
    """Return the reference of an object, of which nothing need be as it should."""
    uid, generation = obj["metadata"].get("uid"), obj["metadata"].get("generation")
    return PolicyRef(*key, uid if isinstance(uid, str) else "", generation if isinstance(generation, int) else 0)


def _denying(key: Key, obj: dict[str, Any]) -> BrokenPolicy:
    """Return what is denied where compiling raised: its subjects, its endpoint, or else the namespace."""
    ref, spec = ref_of(key, obj), obj.get("spec")
    try:
        return salvage(ref, spec)
    except Exception:  # noqa: BLE001 - as above; it is logged already
        endpoint = spec.get("endpoint") if isinstance(spec, dict) else None
        return BrokenPolicy(
            ref,
            endpoint=endpoint if isinstance(endpoint, str) else None,
            subjects=None,
            audit=False,
            carries_settings=True,
            # A candidate denies no call, whatever of it cannot be read.
            replaces=replaced_by(spec),
        )
