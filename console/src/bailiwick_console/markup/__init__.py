"""From text to HTML: the templates, parts of long lists, and names in addresses.

Holds: no text of anybody becomes markup, and none is hidden; it knows neither HTTP nor grants' rules.
"""
