"""A comparison as tables, figures and one HTML page.

In: `ComparisonResults` and its folder. Out: text, CSV, LaTeX, figures, `report.html`.
"""
