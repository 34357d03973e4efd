"""python -m experiments.data: a line for each set, and 2 where one is not to be had."""

import pytest

from experiments.data import cifar10, lidar_radar
from experiments.data.__main__ import Options, main

LINES = "L\t1\t2\t0\t0\t0\t0\t0\t0\t0\nR\t1\t2\t3\t2000000\t0\t0\t0\t0\t0\t0\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lidar-radar").mkdir()
    (tmp_path / "lidar-radar" / lidar_radar.FILE).write_text(LINES)
    return tmp_path


def test_every_public_set_is_fetched_unless_some_are_named():
    assert Options().names == ("movielens-100k", "lidar-radar", "range-beacons", "tinyshakespeare",
                               "fashion-mnist")


def test_a_line_for_a_recording(folder, capsys):
    assert main(Options(("lidar-radar",), folder)) == 0
    assert capsys.readouterr().out == "lidar-radar: 2 s, 2 measurements by lidar, radar\n"


def test_a_line_for_a_text(tmp_path, capsys):
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text("tarantella\n")
    assert main(Options(("tinyshakespeare",), tmp_path)) == 0
    assert capsys.readouterr().out == "tinyshakespeare: 11 characters, 7 of them distinct\n"


def test_a_line_for_images(tmp_path, capsys):
    (tmp_path / cifar10.DATASET.folder).mkdir()
    for file in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        (tmp_path / cifar10.DATASET.folder / file).write_bytes(bytes(cifar10.RECORD_BYTES))
    assert main(Options(("cifar-10",), tmp_path)) == 0
    assert capsys.readouterr().out == "cifar-10: 5 + 1 images of 32 x 32 x 3, of 10 classes\n"


def test_a_damaged_one_and_an_unknown_one_do_not_stop_the_others(folder, capsys):
    (folder / "range-beacons").mkdir()
    (folder / "range-beacons" / "Plaza2.mat").write_bytes(b"\0" * 200)
    assert main(Options(("nowhere", "range-beacons", "lidar-radar"), folder)) == 2
    out, err = capsys.readouterr()
    assert out.startswith("lidar-radar: ") and "Plaza2.mat: not a MATLAB file" in err
    assert "one of lidar-radar, range-beacons, tinyshakespeare, mnist, fashion-mnist, cifar-10, movielens-100k" in err
    assert "got 'nowhere'" in err
