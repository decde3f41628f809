"""The pipeline: one call, identified, decided, consumed and recorded.

Standing: between `http` and the engine. Holds: no allow without its record, no approval without a use.
"""
