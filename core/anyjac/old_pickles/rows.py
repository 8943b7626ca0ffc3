"""What pickles look for in the module ``anyjac.rows`` of then."""

from anyjac import RowBlock, Rows

__all__ = ["RowBlock", "Rows"]
