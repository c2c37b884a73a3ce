"""Tables and figures as pages: Markdown, HTML and LaTeX.

Public: `build`.
"""
