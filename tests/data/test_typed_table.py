"""Reading tables: what columns hold, what is missing, how files are written; every strange file read or refused."""

import csv
import json
import re

import numpy as np
import pytest

from genjax.data import columns as col
from genjax.data.typed_table import read_table
from genjax.errors import UsageError
from genjax.formats import csv_file

PEOPLE = "name,age,pay,since\nann,39,1.50,2020-01-31\nbob,50,2.25,2021-02-28\nann,28,NA,2020-03-01\n"


def written(tmp_path, text, name="t.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def kinds(table):
    return [c["kind"] for c in table.columns]


def back(table):
    """The table's texts, row by row, from what is stored."""
    comma = table.form["decimal"] == ","
    fields = [col.texts(c, table.x[:, i], table.event_mask[:, i], comma) for i, c in enumerate(table.columns)]
    return [list(row) for row in zip(*fields, strict=True)]


def test_a_table_and_back(tmp_path):
    table = read_table(written(tmp_path, PEOPLE))
    assert kinds(table) == ["category", "number", "number", "date"]
    assert table.x[:, 0].tolist() == [0, 1, 0]
    assert table.event_mask[:, 2].tolist() == [True, True, False]
    rows = list(csv.reader(PEOPLE.splitlines()))
    assert back(table) == rows[1:]
    names = [c["name"] for c in table.columns]
    assert csv_file.written(names, back(table), table.form["delimiter"]).decode() == PEOPLE


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("CRLF", PEOPLE.replace("\n", "\r\n").encode()),
        ("old Mac line ends", PEOPLE.replace("\n", "\r").encode()),
        ("byte-order mark", b"\xef\xbb\xbf" + PEOPLE.encode()),
        ("UTF-16", PEOPLE.encode("utf-16")),
        ("UTF-16 without a mark", PEOPLE.encode("utf-16-be")),
        ("UTF-32", PEOPLE.encode("utf-32")),
        ("tabs", PEOPLE.replace(",", "\t").encode()),
        ("bars", PEOPLE.replace(",", "|").encode()),
        ("semicolons", PEOPLE.replace(",", ";").encode()),
        ("semicolons and decimal commas", PEOPLE.replace(",", ";").replace(".", ",").encode()),
        ("blanks", PEOPLE.replace(",", " , ").encode()),
        ("blank lines", PEOPLE.replace("\n", "\n\n").encode()),
        ("no last line end", PEOPLE.rstrip("\n").encode()),
        ("quotes", PEOPLE.replace("ann", '"ann"').encode()),
    ],
)
def test_the_same_table_in_many_forms(tmp_path, what, content):
    a, b = read_table(written(tmp_path, PEOPLE)), read_table(written(tmp_path, content, "b.csv"))
    assert a.columns == b.columns
    assert (a.x == b.x).all()
    assert (a.event_mask == b.event_mask).all()
    if what == "semicolons and decimal commas":
        assert b.form == {"delimiter": ";", "decimal": ","}
        assert back(b)[0] == ["ann", "39", "1,50", "2020-01-31"]


def test_quoted_line_ends_and_delimiters(tmp_path):
    table = read_table(written(tmp_path, 'a,b\n"x, y",1\n"two\nlines",2\n"a ""q""",3\n"x, y",4\n'))
    assert table.columns[0]["categories"] == ['a "q"', "two\nlines", "x, y"]
    assert [row[0] for row in back(table)] == ["x, y", "two\nlines", 'a "q"', "x, y"]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "2"], "number"),
        (["1e-5", ".5", "-3."], "number"),
        (["007", "012"], "category"),  # zip codes
        (["0", "0.5"], "number"),
        (["1,000", "2,000"], "category"),
        (["true", "false"], "category"),
        (["2020-01-01", "1999-12-31"], "date"),
        (["2020-01-01 10:00", "2020-01-01 11:30"], "date"),
        (["2020-01-01T10:00:05", "2020-01-01T11:30:00"], "date"),
        (["2020-01-01", "2020-13-01"], "category"),  # no such month
        (["01/02/2020", "02/02/2020"], "category"),
        (["", "NA", "nan"], "empty"),
        (["", "5"], "number"),
        (["é", "ß"], "category"),
    ],
)
def test_the_rule_of_types(texts, kind):
    column = col.typed("c", texts)
    assert column["kind"] == kind
    values = col.stored(column, texts)
    again = col.texts(column, col.rounded(column, values.x), values.there)
    if not any(t.lower() in ("1e-5", ".5", "-3.") for t in texts) and kind != "empty":
        assert again == [t if t else column["absent"] for t in texts] or kind == "number"


def test_numbers_keep_their_digits_and_their_range():
    column = col.typed("pay", ["1.50", "2.25", "-3.00"])
    x = np.array([1.234567, 99.0, -99.0, -0.001])
    assert col.texts(column, col.rounded(column, x), np.ones(4, bool)) == ["1.23", "2.25", "-3.00", "0.00"]


def test_large_numbers_are_stored_from_the_smallest():
    """float32 has seven digits: of 2,000,000,017 they are kept where the column needs them."""
    texts = ["2000000017", "2000000018", "2000000031"]
    column = col.typed("id", texts)
    assert col.texts(column, col.stored(column, texts).x, np.ones(3, bool)) == texts


def test_moments_are_kept_to_the_second():
    texts = ["2024-05-31 08:15:07", "2024-06-01 00:00:00", "2024-05-31 23:59:59"]
    column = col.typed("at", texts)
    assert col.texts(column, col.stored(column, texts).x, np.ones(3, bool)) == texts


def test_an_all_empty_column_and_a_constant(tmp_path):
    table = read_table(written(tmp_path, "a,b,c,d\n1,,x,5\n2,NA,x,5\n3,,x,5\n"))
    assert kinds(table) == ["number", "empty", "category", "number"]
    assert not table.event_mask[:, 1].any()
    assert "all of b is missing" in table.notes[0]
    assert [row[1:] for row in back(table)] == [["", "x", "5"]] * 3
    assert col.rounded(table.columns[3], np.array([7.0])).tolist() == [5.0]


def test_types_by_a_file_beside_it(tmp_path):
    path = written(tmp_path, "id,zip,x\n1,10,0.5\n2,20,0.5\n3,10,1.5\n")
    (tmp_path / "t.types.json").write_text(json.dumps({"zip": "category", "id": "skip"}))
    table = read_table(path)
    assert [(c["name"], c["kind"]) for c in table.columns] == [("zip", "category"), ("x", "number")]
    assert table.columns[0]["categories"] == ["10", "20"]


def test_rows_of_another_file(tmp_path):
    """Test rows have the training rows' columns, in whatever order; a category that those lack counts as missing."""
    table = read_table(written(tmp_path, PEOPLE))
    other = written(tmp_path, "since,pay,age,name\n2020-01-31,9.00,1,eve\n2020-02-01,1.50,2,bob\n", "o.csv")
    test = read_table(other, like=table)
    assert test.columns == table.columns
    assert test.event_mask[:, 0].tolist() == [False, True]
    assert test.x[1, 0] == 1.0
    assert test.notes[0].endswith(
        "column name: 'eve' on line 2 is no category of the training rows, and counts as 'ann'."
    )
    with pytest.raises(UsageError, match="lacks the column 'pay'"):
        read_table(written(tmp_path, "name,age,since\nann,3,2020-01-01\nann,3,2020-01-01\n", "p.csv"), like=table)


def test_what_training_rows_do_not_have_is_named(tmp_path):
    """A net that has seen no missing value takes it for another; a row of a Unicorn looked like any."""
    training = "species,mass,sex,day\nAdelie,3,m,2024-01-01\nGentoo,5,,2024-01-02\n"
    table = read_table(written(tmp_path, training))
    rows = "Adelie,3,m,2024-01-01\n" * 3 + "Unicorn,,x,1.2.24\nYeti,heavy,,2024-01-01\n"
    test = read_table(written(tmp_path, "species,mass,sex,day\n" + rows, "o.csv"), like=table)
    assert [note.partition(": ")[2] for note in test.notes] == [
        "column species: 'Unicorn' on line 5 (and 1 more) is no category of the training rows, and counts as 'Adelie'.",
        "column mass: 'heavy' on line 6 is no number, and counts as an ordinary value.",
        "column mass: line 5 has no value, as every training row has; it counts as an ordinary value.",
        "column sex: 'x' on line 5 is no category of the training rows, and counts as missing.",
        "column day: '1.2.24' on line 5 is no date, and counts as an ordinary value.",
    ]


MANY = "city,n\n" + "".join(f"place {i % 10_000},{i % 7}\n" for i in range(30_000))


@pytest.mark.parametrize(
    ("what", "content", "says"),
    [
        ("nothing", b"", "is empty"),
        ("blank lines alone", b"\n\n \n", "is empty"),
        ("a header alone", b"a,b\n", "has 0 rows"),
        ("one row", b"a,b\n1,2\n", "has 1 rows"),
        ("a short row", b"a,b\n1,2\n3\n", "line 3 has 1 fields, the header 2"),
        ("a long row", b"a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, the header 2"),
        ("no header", b"1,2\n3,4\n5,6\n", "numbers where the columns' names belong"),
        ("a name twice", b"a,a\n1,2\n3,4\n", "two columns are named 'a'"),
        ("a column without a name", b"a,,c\n1,2,3\n3,4,5\n", "column 2 has no name"),
        ("Latin-1", "a,b\né,1\ne,2\n".encode("latin-1"), "is not UTF-8 (byte 0xe9 on line 2)"),
        ("zero bytes", b"a,b\n1,\0\n2,3\n", "a zero byte"),
        ("a packed file", b"\x1f\x8b\x08\x00", "is packed"),
        ("a spreadsheet", b"PK\x03\x04...", "is packed"),
        ("spaces alone", b"a,b\n1,2\n  \n3,4\n", "line 3 is blank but for spaces"),
        ("an open quote", b'a,b\n"x,1\ny,2\n', "line 3"),
        ("names alone", b"who,n\n" + b"".join(b"name %d,1\n" % i for i in range(90)), "90 texts that are a row's own"),
        ("10,000 categories", MANY.encode(), "10,000 different texts"),
        ("nothing there", b"a,b\n,\nNA,\n", "no values at all"),
    ],
)
def test_refused_in_two_lines(tmp_path, what, content, says):
    with pytest.raises(UsageError) as refused:
        read_table(written(tmp_path, content))
    lines = str(refused.value).splitlines()
    assert len(lines) == 2, lines
    assert says in lines[0]
    assert len(lines[1]) > 10


def test_infinities_are_no_numbers(tmp_path):
    """`inf` makes a column one of categories by the rule; asked for as a number, it is refused."""
    path = written(tmp_path, "a,b\ninf,1\n2,2\n3,3\n")
    assert kinds(read_table(path)) == ["category", "number"]
    with pytest.raises(UsageError, match="'inf' on line 2 is not a finite number"):
        read_table(path, {"a": "number"})


def test_ten_thousand_categories_where_asked_for(tmp_path):
    table = read_table(written(tmp_path, MANY), {"city": "category"})
    assert len(table.columns[0]["categories"]) == 10_000
    assert sum(table.columns[0]["share"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("types", "says"),
    [
        ('{"b": "skip"}', "has no column 'b'"),
        ('{"a": "int"}', "no type of a column"),
        ("{", "is no JSON"),
        ("[]", "must be names"),
    ],
)
def test_wrong_types_are_refused(tmp_path, types, says):
    path = written(tmp_path, "a\n1\n2\n")
    (tmp_path / "t.types.json").write_text(types)
    with pytest.raises(UsageError, match=says):
        read_table(path)


def column(tmp_path, fields, name="a"):
    return read_table(written(tmp_path, "n," + name + "\n" + "".join(f'{i},"{t}"\n' for i, t in enumerate(fields))))


AGES = [str(i % 90) for i in range(3000)]


@pytest.mark.parametrize(
    ("what", "fields", "says"),
    [
        ("a word", [*AGES[:1500], "unknown", *AGES[1500:]], "column a: 'unknown' on line 1,502 is no number, so all"),
        ("leave empty", [*AGES[:1500], "unknown", *AGES[1500:]], "91 categories; leave the field empty"),
        ("infinity", [*AGES[:20], "inf"], "column a: 'inf' on line 22 is no number"),
        ("thousands", [f"{1 + i % 8},000" for i in range(40)], "'1,000' on line 2 is no number.*write '1,000' as 1000"),
        ("money", ["$0.50", "$1.50"] * 20, "write .\\$0.50. as 0.50"),
        ("per cent", ["12%", "5"] * 20, "write '12%' as 12"),
        ("American days", ["01/31/2024", "02/01/2024"], "'01/31/2024' on line 2 is no date.*as 2024-05-31"),
        ("German days", ["31.01.2024", "01.02.2024"], "write all dates of a column alike, as 2024-05-31"),
        ("a zone", ["2024-05-01T10:00:00Z"] * 3, "is no date, .*as 2024-05-31 08:15:00"),
        ("a day that is none", ["2024-05-01"] * 20 + ["2024-02-30"], "'2024-02-30' on line 22.*a day that there is"),
        ("days and moments", ["2024-05-01"] * 20 + ["2024-05-01 10:00"], "'2024-05-01 10:00' on line 22 is no date"),
        ("a code", ["10115", "20095"] * 20 + ["01067"], "'01067' on line 42 is no number.*codes with zeros"),
    ],
)
def test_the_field_that_makes_categories_of_numbers_is_named(tmp_path, what, fields, says):
    table = column(tmp_path, fields)
    assert kinds(table) == ["number", "category"]
    (note,) = table.notes
    assert re.search(says, note), note
    (tmp_path / "t.types.json").write_text('{"a": "category"}')
    assert not read_table(tmp_path / "t.csv").notes


@pytest.mark.parametrize("fields", [["yes", "no"] * 20, ["1", "2", "x"] * 9, ["5 kg", "6 kg"] * 9, ["a"] * 99 + ["1"]])
def test_nothing_is_said_of_columns_that_are_categories(tmp_path, fields):
    assert not column(tmp_path, fields).notes


FLOATS = [f"{i}.25" for i in range(200)]


@pytest.mark.parametrize(
    ("what", "fields", "says"),
    [
        (
            "a word",
            [*FLOATS[:99], "unknown", *FLOATS[99:]],
            "'unknown' on line 101 is none.\nLeave",
        ),
        ("infinities", ["inf", *FLOATS, "inf"], "but 'inf' on line 2 is none (nor are 1 more).\nLeave the field empty"),
        ("money", ["$" + t for t in FLOATS], "'$0.25' on line 2 is none (nor are 199 more).\nWrite '$0.25' as 0.25"),
        ("days", [f"{1 + i % 28}.{1 + i // 28}.2024" for i in range(99)], "one of dates, but '1.1.2024' on line 2"),
        ("2^60", [str(2**60 + i) for i in range(60)], "'1152921504606846976' on line 2 is a number of 2^53 or more"),
        ("5,000 digits", ["9" * 5000, "1"], "is a number of 2^53 or more"),
    ],
)
def test_refusals_of_columns_name_the_field(tmp_path, what, fields, says):
    with pytest.raises(UsageError) as refused:
        column(tmp_path, fields)
    assert says in str(refused.value)
    assert len(str(refused.value).splitlines()) == 2


def test_one_bad_field_leaves_the_decimal_comma(tmp_path):
    rows = "".join(f"{i},5;{i}\n" for i in range(60))
    with pytest.raises(UsageError, match="'unknown' on line 2 is none"):
        read_table(written(tmp_path, f"a;b\nunknown;7\n{rows}"))


def test_digits_that_float32_does_not_keep_are_said(tmp_path):
    fine = "a,b,c\n0.12345,2000000017,1e-5\n12.34567,2000000018,1.234567e9\n"
    assert not read_table(written(tmp_path, fine)).notes
    table = read_table(written(tmp_path, "a,b,c\n0.5,3.14159265359,1\n1.5,2.5,1.23456789e9\n"))
    assert len(table.notes) == 1
    assert "not enough for b, c: '3.14159265359' on line 2 becomes '3.141592" in table.notes[0]
    moments = read_table(written(tmp_path, "at\n1990-01-01 00:00:00\n2024-05-31 08:15:07\n"))
    assert "'2024-05-31 08:15:07' on line 3 becomes '2024-05-31 08:14:56'" in moments.notes[0]
    (tmp_path / "t.types.json").write_text('{"id": "number"}')
    asked = read_table(written(tmp_path, "id\n" + "".join(f"{2**60 + i}\n" for i in range(60))))
    assert "'1152921504606846976' on line 2 becomes" in asked.notes[0]


@pytest.mark.parametrize(
    "texts",
    [
        ["0800-03-01", "0999-12-31", "1999-01-01"],
        ["0800-03-01T10:00", "0800-03-02T11:30"],
        ["2009-01-01 08:15", "2024-05-31 23:59", "2017-10-19 14:31"],  # float32 has minutes of 17 years, no seconds
    ],
)
def test_dates_come_back_of_any_year(texts):
    found = col.typed("d", texts)
    values = col.stored(found, texts)
    assert col.texts(found, values.x, values.there) == texts


def test_adult(shared_data):
    """The published file: 15 columns, none missing by our rule ('?' is a category), every row back to the letter."""
    import gzip

    path = shared_data / "raw" / "adult" / "adult.csv.gz"
    if not path.is_file():
        pytest.skip("missing data: there is no adult.csv.gz")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()[:2001]
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "adult.csv"
        small.write_text("\n".join(lines))
        table = read_table(small)
    assert kinds(table).count("number") == 6
    assert table.event_mask.all()
    assert back(table) == [[f.strip() for f in line.split(",")] for line in lines[1:]]
