"""The site's settings for Sphinx, which ``build.py`` calls on the pages."""

project = "selfgen"
author = "the selfgen developers"
extensions = ["myst_parser"]
myst_enable_extensions = ["strikethrough"]
myst_heading_anchors = 4
exclude_patterns = ["_site"]
html_theme = "furo"
html_title = "selfgen"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
