"""`python -m bailiwick_operator`: the same as the command `bailiwick-operator`.

Holds: nothing happens here that does not happen in `main`.
"""

from bailiwick_operator.main import main

raise SystemExit(main())
