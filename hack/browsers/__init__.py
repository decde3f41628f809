"""A real browser for tests of the console: Debian's Chromium.

Standing: test bed only; beside `localcluster`, whose installer it uses.
"""
