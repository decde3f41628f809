"""`make demo`: a real API server, the operator, three decision points and a small CRM API, and a case played on them.

Standing: test bed only; nothing that ships imports it. The end-to-end tests play the same case on the same stack.
"""
