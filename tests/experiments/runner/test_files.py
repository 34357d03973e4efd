"""Files are replaced whole, and what killed writers left behind goes."""

import os

import pytest

from experiments.runner import files


def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_json(path, {"x": 1})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        files.write_json(path, {"x": 2})
    assert path.read_text() == '{\n  "x": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_json_lacks_become_null(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": [float("nan"), float("-inf"), 1.5]})
    assert "NaN" not in (tmp_path / "a.json").read_text()


def test_leftovers_go_and_all_else_stays(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".5.123.tmp").mkdir()
    (tmp_path / "deep" / ".5.123.tmp" / "half").write_text("")
    (tmp_path / ".a.json.7.tmp").write_text("")
    (tmp_path / "notes.tmp").write_text("a user's own")
    files.remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "notes.tmp"]


def test_a_symlink_is_pointed_elsewhere(tmp_path):
    for target in ("one", "two"):
        files.replace_symlink(tmp_path / "latest", target)
    assert os.readlink(tmp_path / "latest") == "two"
