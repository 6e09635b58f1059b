"""Tables and comparisons of results.

``report.compare`` is also a command and is not imported here, or Python would load it twice.
"""

from mmix_jax.report.tables import markdown_table, text_table

__all__ = ["markdown_table", "text_table"]
