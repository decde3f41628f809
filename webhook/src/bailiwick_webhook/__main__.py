"""`python -m bailiwick_webhook`."""

from bailiwick_webhook.main import main

if __name__ == "__main__":
    raise SystemExit(main())
