"""The drawings of the documentation: SVG, made from the words and places in `drawings`.

Holds: the same words give the same bytes; every text lies within its box; each drawing is readable in light and dark.
"""
