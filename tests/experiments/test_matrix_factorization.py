"""The recommender's experiment, a few steps of it through its real command line."""

import json

import numpy as np
import pytest

import experiments
from experiments.runner.errors import UserError
from tests.experiments import command

pytestmark = pytest.mark.slow

SHORT = ("matrix_factorization", "--folds", 2, "--rank", 2, "--sweeps", 6, "--burn-in", 2, "--ranks", 2,
         "--point-epochs", 10, "--implicit-rank", 4)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("recommender")
    code, out, err = command.run(*SHORT, "--features-sweeps", 4, "--set-size", 4, cwd=cwd)
    assert code == 0, err
    return cwd / "runs" / "matrix_factorization" / "latest", out


def test_a_short_run_has_every_metric_and_figure(finished):
    directory, out = finished
    summary = json.loads((directory / "summary.json").read_text())
    metrics = {name: metric["mean"] for name, metric in summary["metrics"].items()}
    assert set(metrics) == {"test_rmse", "test_rmse_point", "test_rmse_features", "recall_at_20", "ndcg_at_100",
                            "noise_floor", "test_rmse_fold1", "test_rmse_point_fold1", "test_rmse_features_fold1"}
    assert metrics["noise_floor"] < metrics["test_rmse"] < 0.75, "better than the ratings' standard deviation, 0.73"
    assert summary["seconds"]["bayesian"] > 0
    assert {path.name for path in (directory / "figures").iterdir()} == {
        "learning.png", "neighbours.png", "posterior.png"}
    assert "expected rating" in out


def test_a_finished_run_recommends(finished):
    recommender = experiments.load(finished[0]).model
    known = recommender.recommend(0, n=3)
    assert len(known) == 3 and known[0].rating >= known[1].rating >= known[2].rating
    rated = {recommender.title(i) for i in recommender.table.item[recommender.table.user == 0]}
    assert not rated & {one.title for one in known}
    stranger = recommender.recommend("nobody", n=2)
    assert len(stranger) == 2
    liked = recommender.recommend_for({known[0].title: recommender.table.scale[1]}, n=5)
    assert known[0].title not in {one.title for one in liked}
    assert len(recommender.similar(known[0].title)) == 5
    assert np.isfinite(recommender.predict("nobody", "no such film").rating)
    with pytest.raises(UserError, match="no item is called"):
        recommender.similar("no such film")


def test_killed_in_the_middle_it_goes_on_to_the_same_numbers(finished, tmp_path):
    directory, _ = finished
    command.kill_and_resume(*SHORT, stage="point", cwd=tmp_path)
    never, twice = (json.loads((where / "summary.json").read_text())["metrics"]
                    for where in (directory, tmp_path / "run"))
    assert "test_rmse" in twice and twice == {name: never[name] for name in twice}


@pytest.mark.parametrize(("flags", "words"), [
    (("--rank", 0), "--rank must be at least 1, got 0"),
    (("--folds", 6), "--folds must be 1 to 5, got 6"),
    (("--burn-in", 500), "--burn-in must be 0 to"),
    (("--liked", 100), "--liked 100: a fold has no such rating"),
    (("--dataset", "netflix"), "--dataset must be embedded, movielens-100k"),
    (("--dataset", "absent.csv"), "--dataset absent.csv: No such file"),
])
def test_wrong_flags_are_refused(flags, words, tmp_path):
    code, _, err = command.call("matrix_factorization", *flags, cwd=tmp_path)
    assert code == 2 and words in err and "Traceback" not in err


def test_ratings_of_ones_own(tmp_path):
    """A csv with string ids, from reading to recommending."""
    rng = np.random.default_rng(0)
    pairs = {(f"user {u}", f"film {i}") for u, i in rng.integers(30, size=(400, 2))}
    lines = [f"{user},{film},{rng.integers(1, 6)}" for user, film in sorted(pairs)]
    mine = tmp_path / "my data" / "mine.csv"
    mine.parent.mkdir()
    mine.write_text("\n".join(["user,item,rating", *lines]) + "\n")
    code, out, err = command.run(*SHORT, "--dataset", mine, cwd=tmp_path)
    assert code == 0, err
    assert "For user user 0" in out and "item film" in out
    latest = tmp_path / "runs" / "matrix_factorization" / "latest"
    assert experiments.load(latest).model.recommend("user 0", n=1)[0].title.startswith("item film")
    mine.write_text(mine.read_text().replace("film 7", "film seven"))
    with pytest.raises(UserError, match="the data have changed"):
        experiments.load(latest)
    mine.write_text("\n".join(lines[:5]) + "\n")
    code, _, err = command.call(*SHORT, "--dataset", mine, cwd=tmp_path)
    assert code == 2 and "at least 10 ratings are needed" in err
    assert len(list(latest.parent.iterdir())) == 2, "what is refused leaves no run behind"
