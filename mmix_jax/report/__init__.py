"""Text tables, paired comparisons and figures of results.

`report.compare` is also a command and is not imported here, or Python would load it twice.
"""

from mmix_jax.report.tables import text_table

__all__ = ["text_table"]
