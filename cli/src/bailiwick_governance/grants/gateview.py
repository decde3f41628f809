"""What an approval takes, in words. Holds: every text of others is escaped."""

from bailiwick_engine.approval.display import visible
from bailiwick_engine.approval.gates import Gate
from bailiwick_governance.grants.grantview import span


def needed(gate: Gate) -> str:
    """Return what a gate asks for: whose reviews, how many uses, within which time."""
    steps = " and ".join(
        f"{step.count} {step.kind} review{'s' if step.count > 1 else ''}"
        + (f" from {' or '.join(visible(group) for group in step.groups)}" if step.groups else "")
        + f" ({visible(step.name)})"
        for step in gate.steps
    )
    times = "once" if gate.max_uses == 1 else f"{gate.max_uses} times"
    return f"an approval with {steps}; it can be used {times} within {span(gate.window_seconds)}"
