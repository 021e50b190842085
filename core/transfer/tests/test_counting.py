"""The rows that a preview tells are those that the import reads, whatever the table looks like."""

import io

import pytest
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import InvalidError
from core.transfer.reading import ReadingOptions, counting, delimited, open_table
from core.transfer.reading.counting import count_rows
from core.transfer.reading.dialect import Dialect

BITS = [
    "a",
    "ü",
    " ",
    "\u3000",
    ",",
    ";",
    '"',
    '""',
    "\n",
    "\r",
    "\r\n",
    ',"',
    '",',
    ",,",
    '"\n',
    "7",
    "Total",
]


def counted(text, codec="utf-8", above=1):
    found = count_rows(io.BytesIO(text.encode(codec)), codec, ",", above, wide=True)
    return found and found.rows


def read(content, **asked):
    table = open_table(io.BytesIO(content), ReadingOptions(**asked))
    return table.shape.rows, sum(len(chunk) for chunk in table.chunks())


@settings(max_examples=1_500, deadline=None)
@example('",Total", ,"', 1)
@given(st.lists(st.sampled_from(BITS), max_size=60).map("".join), st.integers(1, 40))
def test_counting_is_reading(text, block):
    """In blocks of a few bytes, so that everything is cut in two somewhere."""
    content = f"name,city,note\nAda,Rome,x\n{text}".encode()
    whole, counting.BLOCK = counting.BLOCK, block
    try:
        reported, there = read(content, delimiter=",", header_row=1)
    finally:
        counting.BLOCK = whole
    assert reported == there


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n3,4", 2),
        ("a,b\r\n1,2\r\n3,4\r\n", 2),
        ("a,b\r1,2\r3,4\r", 2),
        ('a,b\n"1\n2",3\n"x ""y""\r\n\r\nz",4\n', 2),
        ('a,b\n"1,\n,"",",2\n', 1),
        ('a,b\n1,2\n\u00a0,\u3000\n"",""\n\n', 1),
        ("a,b\n1,2\nTotal: 1 record,\n\n", 1),
        ("a,b\nTotal,\n1,2\n", 2),
    ],
)
def test_rows_are_counted_without_reading(text, rows):
    assert counted(text) == rows
    assert read(text.encode(), header_row=1) == (rows, rows)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('a,b\n\n , \n,\n\t\n1,2\n\u00a0,\u3000\n"",""\n\n', 1),
        ("a,b\n1,2\nTotal: 1 record,\n\nExported by Ada,\n", 1),
        ("a,b\n1,2\na,b\n3,4\n", 2),
    ],
)
def test_where_another_table_may_begin_or_headers_come_again_only_reading_shows(text, rows):
    header = ["a", "b"]
    found = count_rows(io.BytesIO(text.encode()), "utf-8", ",", 1, wide=True, header=header)
    assert found is None
    assert read(text.encode(), header_row=1) == (rows, rows)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252", "cp932", "gb18030", "big5"])
def test_in_any_encoding(codec):
    text = (
        'name,city\n"A\nB",Rome\n表,Roma\n'
        if codec in ("cp932", "gb18030", "big5")
        else 'name,city\n"é\nB",x\n1,2\n'
    )
    assert counted(text, codec) == 2


@pytest.mark.parametrize(
    "text", ['a,b\n24" screen,x\n19" screen,y\n', 'a,b\n5","\n",1\n', 'a,b\nabc","",1\nd",2\n']
)
def test_quotes_that_open_no_cell_are_left_to_the_reader(text):
    assert counted(text) is None
    reported, there = read(text.encode(), delimiter=",", header_row=1)
    assert reported == there


def test_a_quote_that_is_never_closed_is_warned_of():
    shape = open_table(io.BytesIO(b'a,b\n1,2\n3,"4\n5,6\n')).shape
    assert (shape.rows, shape.unbalanced_quotes) == (2, True)
    assert open_table(io.BytesIO(b'a,b\n1,2\n24" x,4\n')).shape.unbalanced_quotes is False


def test_a_cell_beyond_all_bounds_is_refused_by_the_reader(monkeypatch):
    monkeypatch.setattr(counting, "FIELD_LIMIT", 1 << 20)
    content = b'a,b\n1,"' + b"x" * (20 << 20)
    assert count_rows(io.BytesIO(content), "utf-8", ",", 1, wide=True) is None
    with pytest.raises(InvalidError, match="line 2 is larger than 1 MiB"):
        list(delimited.records(io.BytesIO(content), "utf-8", Dialect()))


def test_blank_rows_and_remarks_of_a_sheet_do_not_count():
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(["name,city", "Ada,Rome", "", " ,", "Bob,0", "Total: 2,"]):
            sheet.write_row(number, 0, row.split(","))
    assert read(out.getvalue()) == (2, 2)
