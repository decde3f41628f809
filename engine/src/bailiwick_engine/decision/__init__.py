"""Decision: a call and a snapshot in, a verdict out.

Standing: on top of the engine. Holds: pure; a denial is a value with a reason, never an exception.
"""
