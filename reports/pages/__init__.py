"""Tables and figures as pages: Markdown, HTML and LaTeX.

Public: `build.build`, `build.check_report`, `terminal.render`.
"""
