"""YAML documents with positions, and the directories that hold them.

Standing: under every module that reads files which people write. Holds: each problem has its line and column.
"""
