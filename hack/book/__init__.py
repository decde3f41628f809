"""The documentation as a static site: `make docs` builds it, `make docs-serve` shows it.

Holds: the site is made of the pages as they stand in the repository, so a link that works there works here. No page
loads anything from another host.
"""
