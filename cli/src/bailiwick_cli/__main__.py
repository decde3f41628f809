"""`python -m bailiwick_cli`."""

from bailiwick_cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
