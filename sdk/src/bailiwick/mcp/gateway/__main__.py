"""`python -m bailiwick.mcp.gateway`."""

import sys

from bailiwick.mcp.gateway.main import main

if __name__ == "__main__":
    sys.exit(main())
