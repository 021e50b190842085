"""Files of every make, read as tables or refused in words."""

import csv
import io
import zipfile

import pytest
import xlsxwriter
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InvalidError
from core.transfer.reading import ReadingOptions, open_table


def read(content, **asked):
    table = open_table(io.BytesIO(content), ReadingOptions(**asked))
    rows = [row for chunk in table.chunks() for row in chunk.rows]
    return table.shape, rows


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encoding_delimiter_and_newline_are_found(encoding, delimiter, newline):
    lines = [["first_name", "last_name", "email"], ["Zoë", "Müller", "z@x.example"]]
    text = newline.join(delimiter.join(line) for line in lines)
    shape, rows = read(text.encode(encoding))
    assert shape.headers == lines[0]
    assert shape.delimiter == delimiter
    assert rows == [lines[1]]


def test_cyrillic_windows_text_is_not_taken_for_western():
    text = "имя;город\n" + "Александр Сергеевич;Санкт-Петербург\nМарина Ивановна;Москва\n" * 20  # noqa: RUF001
    shape, rows = read(text.encode("cp1251"))
    assert shape.encoding == "cp1251"
    assert rows[0] == ["Александр Сергеевич", "Санкт-Петербург"]


def test_a_wrongly_named_encoding_is_refused():
    with pytest.raises(InvalidError, match="Not utf-8"):
        read("a,b\n1,2\nä,ö\n".encode("cp1252"), encoding="utf-8")


def test_semicolons_with_decimal_commas():
    shape, rows = read(b"name;amount\nA;1,50\nB;2,75\nC;3,25\n")
    assert shape.delimiter == ";"
    assert rows[0] == ["A", "1,50"]


def test_the_sep_line_names_the_delimiter_and_is_no_row():
    shape, rows = read(b"sep=;\r\nname;note\r\na;x,y,z\r\n")
    assert (shape.delimiter, shape.headers, rows) == (";", ["name", "note"], [["a", "x,y,z"]])


def test_lines_above_and_remarks_below_the_table_are_left_out():
    content = (
        b"Report of leads\nMade on 1.1.2030\n\nName,Email\nA,a@x.example\nB,b@x.example\n\nTotal: 2 records\n"
    )
    shape, rows = read(content)
    assert shape.headers == ["Name", "Email"]
    assert rows == [["A", "a@x.example"], ["B", "b@x.example"]]


def test_rows_keep_their_numbers_below_a_preamble_and_around_blank_lines():
    table = open_table(io.BytesIO(b'Report\n\nName,Note\nA,"two\nlines"\n\nB,x\n'))
    chunk = table.head(10)
    assert chunk.numbers == [4, 6]
    assert chunk.lines == [4, 7]


def test_repeated_and_empty_headers_can_be_addressed():
    shape, rows = read(b"Email,Email,,Name\na@x.example,b@x.example,7,N\n")
    assert shape.headers == ["Email", "Email (2)", "Column 3", "Name"]
    assert rows == [["a@x.example", "b@x.example", "7", "N"]]


def test_trailing_delimiters_and_short_rows_are_no_fault_but_long_ones_are():
    table = open_table(io.BytesIO(b"a,b,c\n1,2,3,,\n1,2\n1,2,3,4\n"))
    chunk = table.head(10)
    assert chunk.rows == [["1", "2", "3"], ["1", "2", ""], ["1", "2", "3"]]
    assert chunk.ragged == {2: ["4"]}


def test_a_cell_of_a_megabyte_is_read():
    big = b"x" * 1_000_000
    _, rows = read(b'name,notes\nA,"' + big + b'"\n')
    assert len(rows[0][1]) == 1_000_000


def test_a_quote_left_open_is_named():
    with pytest.raises(InvalidError, match="left open"):
        read(b'a,b\n1,"open\n' + b"2,3\n" * 5_000_000)


def test_unicode_line_ends_do_not_cut_cells():
    _, rows = read("name,note\nA,one\u2028two\x0bthree\x0cfour\n".encode())
    assert rows == [["A", "one\u2028two\x0bthree\x0cfour"]]


def test_a_table_without_headers_is_said_to_have_none():
    content = b"a@x.example,5\nb@x.example,6\n"
    with pytest.raises(InvalidError, match="header_row=0"):
        read(content)
    shape, rows = read(content, header_row=0)
    assert shape.headers == ["Column 1", "Column 2"]
    assert len(rows) == 2


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n \n", "blanks"),
        (b"a,b,c\n", "no rows"),
        (b"PK\x03\x04 this is no csv", "zip"),
        (zipped(leads_csv="a,b"), "zip archive"),
        (zipped(word__document_xml="x"), "Word"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b'{"leads": []}', "JSON"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"),
        (b"\x00\x01\x02\xff\xfe\x00", "binary"),
        (b"SQLite format 3\x00", "SQLite"),
    ],
)
def test_what_is_no_table_is_refused_by_its_name(content, said):
    with pytest.raises(InvalidError, match=said):
        read(content)


def workbook(rows):
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet("Leads")
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    book.close()
    return out.getvalue()


def test_a_spreadsheet_is_read_as_text_without_decimals_nobody_wrote():
    shape, rows = read(workbook([["Name", "Size", "Share", "Hot"], ["A", 12, 0.5, True]]))
    assert (shape.format, shape.sheet, shape.rows) == ("xlsx", "Leads", 1)
    assert rows == [["A", "12", "0.5", "true"]]


def sheet_with(row, column, cells):
    """A row of headers, one of a lead, and some cells far away."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["first_name", "email"])
        sheet.write_row(1, 0, ["A", "a@x.example"])
        sheet.write_row(row, column, cells)
    return out.getvalue()


def test_a_sheet_with_a_cell_in_its_last_corner_is_refused_and_ends_no_process():
    with pytest.raises(InvalidError, match="too far apart"):
        read(sheet_with(1_048_575, 16_383, ["x"]))


def test_a_stray_cell_far_below_is_borne():
    assert read(sheet_with(1_048_575, 0, ["B", "b@x.example"]))[1] == [
        ["A", "a@x.example"],
        ["B", "b@x.example"],
    ]


def test_a_sheet_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(InvalidError, match="Known: Leads"):
        read(workbook([["a"], ["b"]]), sheet="Deals")


CELLS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t\x0b"), min_size=1, max_size=20
)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8))
@example([["0", "0", "\\"]])
@example([["0", "0", ",\\"]])
def test_what_csv_writes_is_read_back(rows):
    rows = [[f"r{row[0]}", f"s{row[1]}", row[2]] for row in rows]
    out = io.StringIO()
    csv.writer(out).writerows([["one", "two", "three"], *rows])
    _, found = read(out.getvalue().encode(), delimiter=",", encoding="utf-8", header_row=1)
    assert found == rows


def test_a_table_without_headers_begins_below_the_rows_to_skip():
    _, rows = read(b"sep=,\nnote,\na@x.example,5\n", header_row=0, skip_rows=2)
    assert rows == [["a@x.example", "5"]]
    _, rows = read(b"sep=,\na@x.example,5\n", header_row=0)
    assert rows == [["a@x.example", "5"]]
