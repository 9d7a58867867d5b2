"""What is amiss in a folder of pictures, found with its index; nothing is ever deleted."""

from .curate import curate
from .findings import KINDS, Finding, Kind, Report
from .page import write_page

__all__ = ["KINDS", "Finding", "Kind", "Report", "curate", "write_page"]
