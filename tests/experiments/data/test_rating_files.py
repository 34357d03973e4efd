"""Files of ratings, good and bad."""

import numpy as np
import pytest

from experiments.data.delimited import DataError
from experiments.data.movielens import COLONS, HALF_STAR_CSV, TABS
from experiments.data.rating_files import CSV, read_folds, read_table, read_titles
from experiments.data.ratings import unseen


@pytest.fixture
def write(tmp_path):
    def write(content, name="ratings"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return write


ROWS = {
    "tabs": (TABS, "20\t7\t3\t900\n10\t7\t5\t901\n10\t6\t1\t902\n"),
    "colons": (COLONS, "20::7::3::900\n10::7::5::901\n10::6::1::902\n"),
    "csv": (HALF_STAR_CSV, "userId,movieId,rating,timestamp\n20,7,3.0,900\n10,7,5.0,901\n10,6,1.0,902\n"),
    "windows": (HALF_STAR_CSV, "u,i,rating,time\r\n20,7,3,900\r\n10,7,5,901\r\n10,6,1,902\r\n"),
}


@pytest.mark.parametrize("layout, text", ROWS.values(), ids=ROWS)
def test_each_layout_reads_the_same_table(write, layout, text):
    table = read_table(write(text), layout, titles={7: "Seven", 5: "Five"})
    assert table.user_ids.tolist() == [10, 20] and table.item_ids.tolist() == [6, 7]
    assert table.user.tolist() == [1, 0, 0] and table.item.tolist() == [1, 1, 0]
    assert table.rating.tolist() == [3, 5, 1] and table.timestamp.tolist() == [900, 901, 902]
    assert [str(a.dtype) for a in table[:4]] == ["int32", "int32", "float32", "int64"]
    assert table.titles.tolist() == ["item 6", "Seven"]
    assert table.scale == layout.scale


CSV_TEXTS = {
    "plain": "ann,x,4.5\nbob,x,-2\n",
    "header": "who,what,stars\nann,x,4.5\nbob,x,-2\n",
    "byte order mark": "\ufeffwho,what,stars\nann,x,4.5\nbob,x,-2\n",
    "quoted": '"ann","x",4.5\nbob,x,"-2"\n',
    "no final newline": "ann,x,4.5\nbob,x,-2",
    "blank lines": "\n\nwho,what,stars\n\nann,x,4.5\n\nbob,x,-2\n\n",
}


@pytest.mark.parametrize("text", CSV_TEXTS.values(), ids=CSV_TEXTS)
def test_any_csv(write, text):
    table = read_table(write(text))
    assert table.user_ids.tolist() == ["ann", "bob"] and table.item_ids.tolist() == ["x"]
    assert table.rating.tolist() == [4.5, -2] and table.scale == (-2, 4.5)
    assert table.timestamp is None and table.titles is None


def test_quotes_hold_separators_line_ends_and_any_script(write):
    table = read_table(write('"Łukasz, jr.","a ""b""\nc",3,17\n'))
    assert table.user_ids.tolist() == ["Łukasz, jr."] and table.item_ids.tolist() == ['a "b"\nc']
    assert table.timestamp.tolist() == [17]


GOOD = "1\t2\t3\t4\n"
BAD = {
    "too few fields": (TABS, GOOD + "1\t3\t3\n" + GOOD, 2, "expected 4 fields"),
    "too many fields": (TABS, GOOD + "1\t3\t3\t4\t5\n", 2, "got 5"),
    "word for a rating": (TABS, GOOD + "1\t3\tgood\t4\n", 2, "rating 'good' is not a number"),
    "word for an id": (TABS, GOOD + "x\t3\t3\t4\n", 2, "user 'x' is not an integer"),
    "fraction for an id": (TABS, GOOD + "1\t3.5\t3\t4\n", 2, "item '3.5' is not an integer"),
    "id past 64 bits": (TABS, GOOD + f"1\t{10**20}\t3\t4\n", 2, "is not an integer"),
    "no id": (TABS, GOOD + "\t3\t3\t4\n", 2, "user '' is not an integer"),
    "empty name": (CSV, "ann,x,3\n,x,4\n", 2, "user id is empty"),
    "negative id": (TABS, GOOD + "1\t-3\t3\t4\n", 2, "item id -3 is negative"),
    "not a number": (TABS, GOOD + "1\t3\tnan\t4\n", 2, "rating nan is not a finite number"),
    "infinite": (CSV, "ann,x,3\nann,y,inf\n", 2, "rating inf is not a finite number"),
    "above the scale": (TABS, GOOD + "1\t3\t6\t4\n", 2, "rating 6 is off the scale 1 to 5"),
    "below the scale": (COLONS, "1::2::0.5::4\n", 1, "rating 0.5 is off the scale 1 to 5"),
    "blank lines counted": (TABS, GOOD + "\n\n" + "1\t3\t6\t4\n", 4, "off the scale"),
    "quoted line ends counted": (CSV, 'ann,"x\ny",3\n\nann,z,nan\n', 4, "not a finite number"),
    "after a header": (HALF_STAR_CSV, "userId,movieId,rating,timestamp\n1,2,9,4\n", 2, "off the scale"),
    "no header": (HALF_STAR_CSV, "1,2,3,4\n", 1, "names the columns is missing"),
    "header alone": (CSV, "who,what,stars\n", 1, "no rating follows"),
    "tabs for colons": (COLONS, GOOD, 1, "separated by '::', got 1"),
    "semicolons": (CSV, "ann;x;3\n", 1, "separated by ',', got 1"),
    "empty": (TABS, "", 1, "the file is empty"),
    "blank": (CSV, "\n\n", 1, "the file is empty"),
    "cut in a field": (TABS, GOOD + "1\t3\t3\t88", 2, "cut short"),
    "cut between fields": (TABS, GOOD + "1\t3", 2, "cut short"),
    "csv cut between fields": (CSV, "ann,x,3\nann,", 2, "cut short"),
    "not UTF-8": (CSV, b"ann,x,3\nZo\xeb,x,4\n", 2, "not UTF-8 text"),
    "twice": (TABS, GOOD + "1\t3\t3\t4\n" + "1\t2\t5\t9\n", 3, "user 1 has rated item 2 before, at .*:1"),
    "twice, by name": (CSV, "u,i,r\nann,x,3\nann,x,3\n", 3, "user ann has rated item x before, at .*:2"),
}


@pytest.mark.parametrize("layout, content, line, complaint", BAD.values(), ids=BAD)
def test_bad_input_is_named_by_file_and_line(write, layout, content, line, complaint):
    path = write(content)
    with pytest.raises(DataError, match=complaint) as caught:
        read_table(path, layout)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_table(tmp_path / "nowhere")


def test_folds_share_one_numbering_and_keep_what_training_never_saw(write):
    pairs = [
        (write("ann,x,3\nbob,y,4\n", "1.base"), write("ann,y,5\ncyd,z,1\n", "1.test")),
        (write("ann,y,5\ncyd,z,1\n", "2.base"), write("ann,x,3\nbob,y,4\n", "2.test")),
    ]
    first, second = read_folds(pairs)
    for table in (*first[:2], *second[:2]):
        assert table.user_ids.tolist() == ["ann", "bob", "cyd"] and table.item_ids.tolist() == ["x", "y", "z"]
    assert np.array_equal(first.train.user, second.test.user)
    assert first.train.scale == second.test.scale == (1, 5)
    assert unseen(first).user.tolist() == [False, True] and unseen(first).item.tolist() == [False, True]


def test_a_test_rating_that_stands_in_training_too(write):
    pair = (write("ann,x,3\nbob,y,4\n", "base"), write("ann,y,5\nbob,y,4\n", "test"))
    with pytest.raises(DataError, match=r"test:2: user bob has rated item y before, at .*base:2"):
        read_folds([pair])


def test_titles(write):
    colons = write("1::Été, L' (1990)::Drama\n".encode("latin-1"))
    assert read_titles(colons, "::", "latin-1") == {1: "Été, L' (1990)"}
    quoted = write('movieId,title,genres\n11,"American President, The (1995)",Drama\n')
    assert read_titles(quoted, ",", "utf-8-sig") == {11: "American President, The (1995)"}


@pytest.mark.parametrize("line", ["2", "x|Two", "|Two"])
def test_a_bad_title_line(write, line):
    path = write(f"1|One|\n{line}\n")
    with pytest.raises(DataError, match=":2: expected an item's id and title"):
        read_titles(path, "|", "latin-1")
