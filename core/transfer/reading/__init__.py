"""From a file of any common make to rows of text cells: nothing here knows of entities or databases."""

from core.transfer.reading.shape import ReadingOptions, Shape
from core.transfer.reading.table import Chunk, Table, open_table

__all__ = ["Chunk", "ReadingOptions", "Shape", "Table", "open_table"]
