"""The audit of logs: lines in, what became of each chain out.

Standing: above every other room of evidence. Holds: pure; memory grows by 32 bytes a line; what cannot be shown to be
whole is not called whole, and whatever an honest process leaves behind is not called changed.
"""
