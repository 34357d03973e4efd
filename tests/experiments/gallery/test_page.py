"""The page as text: what is on it, what is escaped, how large it is and how long it takes."""

import json
import re
import subprocess
import sys
import time

import pytest

import experiments
from experiments.gallery import __main__ as gallery
from experiments.gallery import pictures, reading, views, words
from experiments.gallery.applications import APPLICATIONS
from experiments.gallery.mathematics import mathematics, parts
from tests.experiments.command import ROOT
from tests.experiments.gallery import made

EVIL = '</script><script>alert("x")</script><img src=x onerror=alert(1)>&amp;\ud800'


def page_of(runs, capsys=None):
    out = runs / "gallery" / "index.html"
    assert gallery.main(gallery.Options(runs, out)) == 0
    return out.read_text()


def test_every_application_is_described_in_three_sentences_and_real_mathematics():
    assert {one.name for one in APPLICATIONS} <= set(experiments.names())
    for one in APPLICATIONS:
        assert len(re.findall(r"[.?!](?= |$)", one.idea)) == 3, one.name
        assert one.picture in one.captions
        for line in (one.formula, *one.objective, *one.derivative):
            for formula in parts(line):
                assert formula.startswith("<math") and "\\" not in formula, line
        assert (ROOT / "sandbox" / one.name / "derivatives.py").exists()
    assert mathematics("") == ""


def test_operators_are_set_as_such():
    assert 'rspace="0.167em">log</mo><mi>p</mi>' in mathematics(r"\log p")
    assert 'rspace="0">log</mo><mo stretchy="false">(' in mathematics(r"\log (p)")
    assert '<munder><mo lspace="0" rspace="0.167em">min</mo><mi>G</mi></munder>' in mathematics(r"\min_G L")
    assert re.findall(r'form="\w+">−', mathematics(r"- a = - \left( b \right) - c")) == [
        'form="prefix">−', 'form="prefix">−', 'form="infix">−']


def test_the_page_shows_runs_results_proofs_commands_and_sweeps(tmp_path, figure):
    made.run(tmp_path, figure=figure)
    made.sweep(tmp_path, figure)
    made.write(tmp_path / "certificate.json", made.CERTIFICATE)
    page = page_of(tmp_path)
    for text in ("make run-experiment EXP=kalman ARGS=&#34;--seeds 2&#34;", "0.250 ± 0.030", "the best of others",
                 "∂ of identity 2", "2 of\n  3 identities hold", "1 of 3 identities FAIL", "jax 0.10.2", "Sweep over",
                 "It is said.", "make run-experiment EXP=gan", "1 run and a sweep on this page",
                 "reference 0.3, the best of"):
        assert text in page, text
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:|//|[a-z]+\.(js|css|png))""", page)
    assert page.count("<img") == page.count('src="data:image/webp;base64,') == 4
    assert all(re.search('alt="', image) for image in re.findall("<img[^>]*>", page))


def test_no_runs_at_all_is_a_page_that_says_how_to_make_some(tmp_path, monkeypatch):
    assert "There is no run yet" in page_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert gallery.main(gallery.Options()) == 0
    assert "There is no run yet" in (tmp_path / "runs" / "gallery" / "index.html").read_text()


def test_an_experiment_that_nobody_described_appears_with_its_docstring(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(ROOT / "tests/experiments/extra")])
    made.run(tmp_path, name="tiny")
    made.run(tmp_path, name="unheard_of")
    page = page_of(tmp_path)
    assert "A parabola" in page or (ROOT / "tests/experiments/extra/tiny.py").read_text().split('"""')[1][:20] in page
    assert "experiments/unheard_of" in page
    assert page.index("Diffusion</h2>") < page.index("tiny</h2>"), "behind those that are described"


def test_runs_are_told_apart_by_flags_that_are_not_the_presets_or_by_directory(tmp_path):
    made.run(tmp_path, run_id="20260101-120000-a", flags={"learning_rate": 0.02, "out": "elsewhere"})
    made.run(tmp_path, run_id="20260101-120000-b")
    made.run(tmp_path, run_id="20260101-120000-c", flags={
        "learning_rate": 1, "steps": 7, "precision": "high", "update_iterations": 9})
    made.run(tmp_path, run_id="20260101-120000-d")
    [shelf] = [shelf for shelf in reading.read(tmp_path) if shelf.experiment == "kalman"]
    assert {view["title"].removeprefix("quick, embedded, 2 seeds, 0 to 1") for view in
            views.section(shelf, [], {})["runs"]} == {
        ", learning rate 0.02", ", 20260101-120000-b", ", precision high, steps 7, learning rate 1, 1 more flag",
        ", 20260101-120000-d"}


def test_a_run_of_another_version_is_marked(tmp_path):
    made.run(tmp_path, flags={"of_old": 1})
    page = page_of(tmp_path)
    assert '<span class="state">another version</span>' in page and "unknown today are of_old." in page


def test_what_differs_are_flags_that_decide_before_facts(tmp_path):
    made.run(tmp_path, flags={"mesh": "data=2", "sweep": []})
    [shelf] = [shelf for shelf in reading.read(tmp_path) if shelf.experiment == "kalman"]
    [run] = views.section(shelf, [], {})["comparable"]
    assert run["config"]["learning_rate"] == "0.1"
    assert not run["config"].keys() & {"out", "mesh", "sweep", "data_dir"} and "seconds" not in run["facts"]


def test_names_with_html_in_them_are_text_everywhere(tmp_path, figure):
    name = EVIL.replace("/", "")[:-1]
    directory = made.run(tmp_path, name=name, run_id=f"20260101-120000-{name}", dataset=EVIL, metrics=(EVIL,),
                         values=(EVIL,), figure=figure, figure_names=(name,), flags={EVIL: EVIL})
    summary = json.loads((directory / "summary.json").read_text())
    made.write(directory / "summary.json", {**summary, "sample": EVIL, "failures": [EVIL], "seeds": [EVIL, 1]})
    made.write(tmp_path / "certificate.json", [{"application": name, "identity": EVIL, "cases": EVIL, "holds": EVIL}])
    page = page_of(tmp_path)
    assert page.count("<script") == 2 and page.count("</script>") == 2
    assert "<img src=x" not in page
    [data] = re.findall(r'<script type="application/json" id="runs">(.*?)</script>', page)
    [run] = json.loads(data)
    assert run["config"]["dataset"] == EVIL.replace("\ud800", json.loads('"\\ud800"'))


def test_figures_and_numbers_that_are_damaged_are_named_and_break_nothing(tmp_path, figure):
    directory = made.run(tmp_path, figure=figure)
    (directory / "figures" / "cut.png").write_bytes(figure.read_bytes()[:5000])
    (directory / "figures" / "none.png").write_bytes(b"")
    (directory / "figures" / "text.png").write_text("no picture")
    (directory / "figures" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (directory / "figures" / "folder.png").mkdir()
    summary = json.loads((directory / "summary.json").read_text())
    summary["metrics"]["rmse_px"] = {"mean": None, "ci95": float("nan"), "per_seed": [float("inf"), 0.1]}
    made.write(directory / "summary.json", summary)
    (directory / "figures" / "errors.png").unlink()
    page = page_of(tmp_path)
    assert "figures/errors.png is gone" in page
    for name in ("cut", "none", "text", "gone", "folder"):
        assert f"{name}.png cannot be read" in page
    assert "not finite" in page
    assert str(tmp_path / "kalman" / "20260101-120000-quick" / "figures") not in page
    assert page.count('src="data:image/webp') == 2, "its track, there and on its card"


def test_a_figure_grows_smaller_and_is_no_wider_than_asked(figure):
    small = pictures.shrink(figure, 640, 72)
    assert small.width == 640 and 0 < len(small.uri) < figure.stat().st_size
    assert pictures.shrink(figure, 10_000, 80).width == 1300


def test_a_command_is_shown_by_make_where_a_shell_needs_no_quotes():
    def command(*words_):
        return words.command({"command": ["python", "-m", "experiments", *words_]})

    assert command("gan") == "make run-experiment EXP=gan"
    assert command("gan", "--seeds", "3") == 'make run-experiment EXP=gan ARGS="--seeds 3"'
    assert command("gan", "--dataset", "a b$(c)") == "python -m experiments gan --dataset 'a b$(c)'"
    assert command("--all") == "python -m experiments --all"
    assert words.command({}) == words.command({"command": "x"}) == ""


def test_the_command_line_says_what_it_wrote_and_refuses_what_it_cannot(tmp_path, figure, capsys):
    made.run(tmp_path / "runs")
    assert gallery.main(gallery.Options(tmp_path / "runs", tmp_path / "a" / "page.html")) == 0
    assert re.search(r"page\.html: 1 run, \d\.\d MB, \d+\.\d s", capsys.readouterr().out.replace("\n", ""))
    for wrong in (tmp_path / "nowhere", figure):
        assert gallery.main(gallery.Options(wrong, tmp_path / "b.html")) == 2
        assert f"--runs must be a directory of runs, got {wrong}, which is " in capsys.readouterr().err
    assert gallery.main(gallery.Options(tmp_path / "runs", tmp_path)) == 2
    assert "--out must be a file" in capsys.readouterr().err
    assert gallery.main(gallery.Options(tmp_path / "runs", figure / "page.html")) == 2
    assert "--out must be a file" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["page.html"]


def test_it_does_not_wait_for_jax():
    code = "import sys, experiments.gallery.__main__; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_all_seven_with_five_runs_each_are_at_most_10_mb_and_20_seconds_of_computing(tmp_path, figure):
    for one in APPLICATIONS:
        for k in range(5):
            made.run(tmp_path, name=one.name, run_id=f"2026010{k + 1}-120000-full", seeds=5, steps=500, figure=figure,
                     metrics=[f"metric_{n}" for n in range(20)], values=("loss", "accuracy", "norm", "entropy"),
                     figure_names=[f"figure_{n}" for n in range(5)])
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.png")) > 15e6
    began = time.process_time()
    page = page_of(tmp_path)
    assert len(page) <= 10e6
    assert time.process_time() - began <= 20  # ten seconds of two cores


def test_a_row_that_raised_says_what(tmp_path):
    made.write(tmp_path / "certificate.json", [{"application": "kalman", "identity": "x = y", "holds": False,
                                                 "error": "ValueError: of [two] shapes"}])
    assert "ValueError: of [two] shapes" in page_of(tmp_path)
