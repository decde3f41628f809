"""Tests of policies: `PolicyTest` files, run against compiled policies. Standing: under the commands `test` and `init`.

Holds: pure, no file and no clock; what a call comes to, the engine decides, and nothing in here is a rule of its own.
"""
