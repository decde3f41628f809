"""The rig: who runs where, what loads, what is measured and how it is told."""
