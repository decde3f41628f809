"""Real browsers for tests of the console: Debian's Chromium and Firefox.

Standing: test bed only; beside `localcluster`, whose installer it uses.
"""
