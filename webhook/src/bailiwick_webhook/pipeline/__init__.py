"""The pipeline: one call, identified, decided, consumed and recorded.

Standing: between the adapters (`http`, `grpc`) and the engine. Holds: no allow without its record, unless the
installation would rather answer than record; no approval without a use.
"""
