"""Settings of Sphinx for the site; `book.site` passes the version as `release`."""

project = "Bailiwick"
author = "The Bailiwick authors"
root_doc = "docs/README"
extensions = ["myst_parser"]

# Anchors as GitHub makes them, so that one link serves both.
myst_heading_anchors = 6
exclude_patterns: list[str] = []
# HAProxy's configuration, which no lexer knows, is shown plain.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "Bailiwick"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["versions.js"]
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
# Each would be fetched, which a page that is opened as a file may not do.
html_show_search_summary = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
