"""The name under which packages of Python are installed; what is imported has names of its own.

Holds: it is ours alone. On the public index, the name `bailiwick` belongs to another project.
"""

from typing import Final

DISTRIBUTION: Final = "bailiwick-authz"
