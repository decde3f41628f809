"""Re-derivation: whether the verdict of a record follows from the record and the text of the policies that it names.

Holds: it is the engine that serves which is asked, never a second encoding of its rules.
"""
