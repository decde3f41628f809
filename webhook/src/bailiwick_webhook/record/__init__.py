"""The decision record: one JSON line for each decision.

Standing: under `pipeline`. `line`, `search` and `shadow` say what a line is; `writing` has how it comes into the file.
"""
