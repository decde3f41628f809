"""The audit of logs: it takes lines and returns a report on each chain.

Standing: above every other room of evidence. Holds: pure; memory grows by 32 bytes a line. A chain is called whole only
if that is proven, and a log of an honest process is never called changed.
"""
