"""Tables and lists are read strictly: each fault is told with its line and repeats no cell."""

import pytest

from tmu.data.tables import decoded, read_list, read_table
from tmu.errors import DataError, RequestError

COLUMNS = ("path", "label", "subject")
HEAD = "path,label,subject\n"


def rows(text: str) -> list[tuple[int, list[str]]]:
    return [(row.line, list(row.cells.values())) for row in read_table(text, "The CSV", COLUMNS, ("split",))]


def test_rows_have_their_lines_and_cells_their_blanks_removed():
    text = HEAD + "a.png, cat ,anna\n\nb.png,dog,\n" + '"c, d.png",cat,"Roe, A"\n   \n' + "e.png,cat,x"
    assert rows(text) == [
        (2, ["a.png", "cat", "anna"]),
        (4, ["b.png", "dog", ""]),
        (5, ["c, d.png", "cat", "Roe, A"]),
        (7, ["e.png", "cat", "x"]),
    ]
    assert rows("label,split,path,subject\r\ncat,test,a.png,x\r\n") == [(2, ["cat", "test", "a.png", "x"])]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        (HEAD + "a.png,cat,Roe, A\n", "line 2, has 4 cells, the header 3"),
        (HEAD + "a.png,cat,x\nb.png,cat\n", "line 3, has 2 cells, the header 3"),
        (HEAD + "a.png,cat,x\nmaria\n", "line 3, has 1 cell, the header 3"),
        ("path,label,subject,label\n", "column `label` more than once"),
        ("path,label\n", "no column `subject`"),
        ("a.png,cat,maria\n", "no column `path`"),
        ("path,label,subject,spilt\n", "a column that is not known: number 4 of 4"),
        ("path;label;subject\na.png;cat;maria\n", "separated by semicolons"),
        ("path\tlabel\tsubject\n", "separated by tabs"),
        ("path|label|subject\n", "separated by vertical bars"),
        (HEAD + 'a.png,cat,"maria\nb.png,dog,x\n', "line 2, cannot be read as CSV"),
        (HEAD + 'a.png,cat,x\nb.png,"cat"s,maria\n', "line 3, cannot be read as CSV"),
        (HEAD + 'a.png,cat, "maria"\n', "line 2, column `subject`, has a blank before its quotation mark"),
        (HEAD + 'a.png,cat,"maria\nsmith"\n', r"line 2, column `subject`, holds U\+000A \(line feed\)"),
        (HEAD + "a.png,cat,maria\u200b\n", r"line 2, column `subject`, holds U\+200B \(zero width space\)"),
        (HEAD + "a.png,ca\u00a0t,x\n", r"line 2, column `label`, holds U\+00A0 \(no-break space\)"),
        (HEAD + "a\u202fb.png,cat,x\n", r"line 2, column `path`, holds U\+202F"),
        ("path,label,sub\u200bject\n", r"line 1, column 3, holds U\+200B"),
        ("\ufeff" + HEAD, r"line 1, column 1, holds U\+FEFF"),
    ],
)
def test_each_fault_is_told_by_line_and_kind_and_repeats_nothing(text, told):
    with pytest.raises(DataError, match=told) as caught:
        rows(text)
    assert "maria" not in str(caught.value)


def test_a_column_may_be_taken_as_written():
    (row,) = read_table(HEAD + "a\u202fb.png,cat,x\n", "The CSV", COLUMNS, as_written=("path",))
    assert row.cells["path"] == "a\u202fb.png"


def test_encodings():
    assert decoded(b"\xef\xbb\xbfpath", "The CSV") == "path"
    for raw in ("path".encode("utf-16"), "path,label".encode("utf-16-le")):
        with pytest.raises(DataError, match="UTF-16"):
            decoded(raw, "The CSV")
    with pytest.raises(RequestError, match="line 2 holds the byte 0xeb"):
        decoded("maria\nZo\u00eb\n".encode("latin-1"), "The request file", RequestError)


def test_a_list():
    assert list(read_list("# people\nanna\n\n  bert@example.org \r\nRoe, A", "The file")) == [
        (2, "anna"),
        (4, "bert@example.org"),
        (5, "Roe, A"),
    ]
    for line, told in (
        ("ma\u200bria", r"line 2, holds U\+200B"),
        ("maria\tsmith", r"U\+0009 \(tab\)"),
        ('"maria"', "quotation"),
    ):
        with pytest.raises(RequestError, match=told) as caught:
            list(read_list(f"anna\n{line}\n", "The request file", RequestError))
        assert "maria" not in str(caught.value)
