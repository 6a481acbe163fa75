"""Web pages on results: one look, each complete in one file that loads nothing."""

from .charts import line_chart, share_bar
from .figures import Case, LayeredImage, gallery, layered, scale_bar
from .html_tables import number, percent, table
from .page import Page, Verdict, copyable, write_page

__all__ = [
    "Case",
    "LayeredImage",
    "Page",
    "Verdict",
    "copyable",
    "gallery",
    "layered",
    "line_chart",
    "number",
    "percent",
    "scale_bar",
    "share_bar",
    "table",
    "write_page",
]
