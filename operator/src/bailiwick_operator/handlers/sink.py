"""What a handler hands an event to: the type that kopf gives (None for what a list found), and the object.

Holds: nothing but the type, so that handlers and what stands behind them know only this of each other.
"""

from collections.abc import Callable
from typing import Any

Sink = Callable[[str | None, dict[str, Any]], None]
