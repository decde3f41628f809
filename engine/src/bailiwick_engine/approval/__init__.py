"""Approval: what a gate asks for, what a grant is, and when it answers a call.

Standing: under `decision` and the operator. Holds: pure; a grant is necessary and never enough: what it answers is
judged again by the gate as it stands.
"""
