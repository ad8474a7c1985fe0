"""How does a page for people look?

``page`` fills in every template (HTML and Markdown), and writes numbers as readers expect them;
``page.html.j2`` is the frame and the style sheet; ``drawing`` draws plots, and small images.
"""
