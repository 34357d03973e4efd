"""Notebooks, made of the experiments' code: valid, of no machine in particular, and right from top to bottom."""

import json
import shutil

import nbclient
import nbformat
import pytest

import experiments
from experiments.desk.notebooks import main, write
from tests.experiments.desk.shell import ROOT
from tests.experiments.desk.short import SHORT


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that holds the packages, so that what notebooks run is kept in it, and not in this checkout's runs."""
    for package in ("sandbox", "experiments"):
        (tmp_path / package).symlink_to(ROOT / package)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", experiments.names())
def test_it_runs_from_top_to_bottom(name, checkout):
    path = write(name, checkout / "runs" / "notebooks", SHORT.get(name))
    book = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    [cell] = [cell for cell in book.cells if cell.source == "result"]
    [shown] = [output.data for output in cell.outputs]
    assert "<table>" in shown["text/html"]
    [directory] = [run for run in (checkout / "runs" / name).iterdir() if not run.is_symlink()]
    metric = next(iter(json.loads((directory / "summary.json").read_text())["metrics"]))
    assert metric in shown["text/html"] and metric in shown["text/plain"]
    figures = list((directory / "figures").iterdir())
    assert figures or name not in SHORT
    assert shown["text/html"].count("data:image/png;base64,") == len(figures)
    assert experiments.load(directory).config.preset == "quick"


@pytest.mark.parametrize("name", experiments.names())
def test_it_is_the_experiment_word_for_word_and_of_no_machine(name, tmp_path):
    path = write(name, tmp_path)
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    text = path.read_text()
    assert str(ROOT) not in text and str(tmp_path) not in text
    code = "".join(cell.source for cell in book.cells if cell.cell_type == "code")
    source = (ROOT / "experiments" / f"{name}.py").read_text()
    assert "".join(source.split('"""', 2)[2].split()) in "".join(code.split()), "after the docstring"
    assert write(name, tmp_path / "again").read_text() == text


def test_all_are_made_by_default_and_an_unknown_name_is_refused(tmp_path, capsys):
    assert main(["--out", str(tmp_path)]) == 0
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(experiments.names())
    shutil.rmtree(tmp_path)
    assert main(["no_such", "--out", str(tmp_path)]) == 2
    assert "NAMES must be of attention, " in capsys.readouterr().err and not tmp_path.exists()
    tmp_path.write_text("a file")
    for out in (tmp_path, tmp_path / "below"):
        assert main(["gan", "--out", str(out)]) == 2
        assert f"--out must be a folder to write to, got {out}: " in capsys.readouterr().err
