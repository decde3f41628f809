"""Re-derivation: whether the verdict of a record follows from the record and the texts of the policies that it names.

Holds: the same engine decides as in the decision point, never a second encoding of its rules.
"""
