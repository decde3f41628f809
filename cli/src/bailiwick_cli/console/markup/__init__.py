"""From text to HTML: the templates, parts of long lists, names in addresses, and words that mix alphabets.

Holds: no text of anybody becomes markup, and none is hidden; it knows neither HTTP nor grants' rules.
"""
