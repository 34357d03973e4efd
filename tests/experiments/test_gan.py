"""The GAN experiment, a short run of it through its real command line."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments import gan
from experiments.data import embedded_digits
from experiments.forging import report
from experiments.forging.playing import METHODS, penalty
from experiments.forging.points import points
from experiments.forging.recipes import CLOTHES, DIGITS, GRID, RECIPES, recipe_for
from experiments.forging.stacks import mode_counts
from experiments.gan import Config
from experiments.runner import cli
from experiments.runner.errors import UserError
from experiments.vision import likeness
from sandbox.gan import CRITERIA, DISCRIMINATOR, GENERATOR, NEITHER, Watched
from tests.experiments import command

SMALL = ("--widths", 32, 32, "--batch-size", 64)
SHORT = ("gan", *SMALL, "--steps", 400, "--seeds", 2)
OF_DIGITS = ("gan", "--dataset", "digits", "--widths", 8, "--steps", 30, "--batch-size", 32,
             "--judging-epochs", 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("gan")
    code, out, err = command.run(*SHORT, cwd=cwd)
    assert code == 0, err
    return cwd / "runs" / "gan" / "latest", out


@pytest.mark.slow
def test_a_short_run_comes_nearer_to_the_ring(finished):
    directory, out = finished
    summary = json.loads((directory / "summary.json").read_text())
    reached = summary["metrics"]
    assert set(reached) == {"modes", "high_quality", "reverse_kl", "covariance_ratio", "diverged"}
    assert reached["modes"]["mean"] >= 6 and reached["diverged"]["per_seed"] == [0, 0]
    assert summary["reference"]["modes"]["value"] == 7.8 and summary["dataset"] == "ring"
    assert {path.stem for path in (directory / "figures").iterdir()} == {
        "samples", "every_seed", "landscape", "learning", "dynamics"}
    assert "2 x 400 steps of 64 pairs" in out
    forged = experiments.load(directory).model.forge(500)
    radius = np.linalg.norm(forged, axis=1)
    assert abs(np.median(radius) - 1) < 0.3, "an untrained generator's samples are spread about 0"


@pytest.mark.slow
def test_a_finished_run_forges_and_judges(finished):
    forger = experiments.load(finished[0]).model
    assert forger.num == 2 and forger.num_parameters.generator == 32 * 3 + 32 * 33 + 2 * 33
    first, other = forger.forge(5, seed=3), forger.forge(5, seed=3, forger=1)
    assert first.shape == (5, 2) and not np.allclose(first, other)
    np.testing.assert_array_equal(first, forger.forge(5, seed=3))
    real, far = np.array([[1.0, 0.0]]), np.array([[0.0, 0.1]])
    assert forger.realness(real) > forger.realness(far)
    for call, words in (
            (lambda: forger.forge(0), "num must be at least 1, got 0"),
            (lambda: forger.forge(2, labels=np.zeros(2)), "labels must be left out"),
            (lambda: forger.forge(2, forger=2), "forger must be 0 to 1, got 2"),
            (lambda: forger.realness(np.zeros((2, 3))), r"samples must be \(N, 2\), got \(2, 3\)"),
            (lambda: forger.realness(real, labels=np.zeros(1)), "labels must be left out")):
        with pytest.raises(UserError, match=words):
            call()


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_numbers(finished, tmp_path):
    command.kill_and_resume(*SHORT, stage="play", cwd=tmp_path)
    never, twice = (json.loads((where / "summary.json").read_text()) for where in (finished[0], tmp_path / "run"))
    assert twice["metrics"] == never["metrics"]


@pytest.mark.slow
def test_divergence_is_an_outcome_on_two_devices(tmp_path):
    """Simultaneous steps of a Wasserstein game without a penalty, on two devices: the slope grows without bound."""
    code, out, err = command.run(*SHORT, "--criterion", "wasserstein", "--r1", 0, "--r2", 0, "--method", "simultaneous",
                                 "--discriminator-rate", 1.0, "--diverged-beyond", 1000, "--mesh", "data=2",
                                 cwd=tmp_path)
    assert code == 0, err
    summary = json.loads((tmp_path / "runs/gan/latest/summary.json").read_text())
    assert summary["metrics"]["diverged"]["per_seed"] == [1, 1]
    assert "seed 1 diverged at step " in out and "gradient, of norm " in out
    assert all(np.isfinite(metric["mean"]) for metric in summary["metrics"].values())


@pytest.mark.slow
def test_digits_are_forged_by_class_and_judged_by_others(tmp_path):
    code, out, err = command.run(*OF_DIGITS, "--seeds", 2, cwd=tmp_path)
    assert code == 0, err
    summary = json.loads((tmp_path / "runs/gan/latest/summary.json").read_text())
    reached = summary["metrics"]
    assert set(reached) == {"classifier_accuracy", "frechet_distance", "kernel_distance", "precision", "recall",
                            "nearest_ratio", "diverged"}
    assert all(len(metric["per_seed"]) == 2 for metric in reached.values())
    assert "Of unseen real ones: frechet_distance" in out
    assert {path.stem for path in (tmp_path / "runs/gan/latest/figures").iterdir()} == {"forged", "learning",
                                                                                        "dynamics"}
    forger = experiments.load(tmp_path / "runs/gan/latest").model
    forged = forger.forge(3, labels=[7, 7, 1])
    assert forged.shape == (3, 8, 8, 1) and forged.dtype == np.uint8 and forged.max() <= 16
    assert forger.realness(forged, labels=[7, 7, 1]).shape == (3,)
    with pytest.raises(UserError, match="labels must be 2 whole numbers of 0 to 9"):
        forger.forge(2, labels=[3, 10])
    with pytest.raises(UserError, match="labels must be given"):
        forger.realness(forged)


@pytest.mark.slow
def test_stacks_have_a_thousand_modes(tmp_path):
    code, out, err = command.run("gan", "--dataset", "stacked-digits", *OF_DIGITS[3:], "--r1", 0, "--r2", 0,
                                 cwd=tmp_path)
    assert code == 0, err
    reached = json.loads((tmp_path / "runs/gan/latest/summary.json").read_text())["metrics"]
    assert set(reached) == {"modes", "reverse_kl", "diverged"} and reached["modes"]["mean"] >= 1
    assert "Of 1,000 modes, by 26,000 stacks of each seed" in out


@pytest.mark.parametrize(("flags", "words"), [
    (("--criterion", "loud"), f"--criterion must be one of {', '.join(CRITERIA)}, got loud"),
    (("--method", "none"), f"--method must be one of {', '.join(METHODS)}, got none"),
    (("--steps", 0), "--steps must be at least 1, got 0"),
    (("--latent-size", 0), "--latent-size must be at least 1, got 0"),
    (("--batch-size", 0), "--batch-size must be at least 1, got 0"),
    (("--r1", -1), "--r1 must be 0 or more, and finite, got -1.0"),
    (("--gradient-penalty", -1), "--gradient-penalty must be 0 or more, and finite, got -1.0"),
    (("--generator-rate", "nan"), "--generator-rate must be above 0, and finite, got nan"),
    (("--discriminator-rate", 0), "--discriminator-rate must be above 0, and finite, got 0.0"),
    (("--momentum", 1), "--momentum must be in [0, 1), got 1.0"),
    (("--penalty-fall", 0), "--penalty-fall must be above 0 and at most 1, got 0.0"),
    (("--generator-fall", 2), "--generator-fall must be above 0 and at most 1, got 2.0"),
    (("--constant", -1), "--constant must be in [0, 1], got -1.0"),
    (("--average", 2), "--average must be in [0, 1], got 2.0"),
    (("--waves", -1), "--waves must be 0 or more, got -1"),
    (("--widths", 0), "--widths must be one number or more, each at least 1, got (0,)"),
    (("--judging-epochs", 0), "--judging-epochs must be above 0, and finite, got 0.0"),
    (("--diverged-beyond", 0), "--diverged-beyond must be above 0, got 0.0"),
    (("--method", "consensus", "--critic-steps", 2), "--critic-steps must be 1 where players move by consensus, got 2"),
])
def test_wrong_flags_are_refused(flags, words):
    with pytest.raises(UserError) as refused:
        cli.parse("gan", gan, [str(flag) for flag in flags])
    assert str(refused.value) == words


@pytest.mark.parametrize(("flags", "words"), [
    (("--dataset", "stacked-spiral"), "--dataset must be one of embedded, ring, grid, digits, mnist, fashion-mnist, "
                                      "cifar-10, or an .npz file, the images also with stacked- before them, got "
                                      "stacked-spiral"),
    (("--dataset", "digits", "--widths", 4, 4, 4, 4, 4), "--widths must be of at most 4 sizes"),
])
def test_data_and_sizes_that_cannot_be_are_refused(flags, words, tmp_path):
    code, _, err = command.call("gan", *flags, cwd=tmp_path)
    assert code == 2 and words in err and "Traceback" not in err


def test_recipes_suit_the_data_and_flags_go_over_them():
    assert recipe_for(Config(dataset="grid")) == RECIPES["grid"]
    assert recipe_for(Config(dataset="grid", steps=3, r1=0.0)) == RECIPES["grid"]._replace(steps=3, r1=0.0)
    assert recipe_for(Config(dataset="stacked-digits")) == DIGITS and recipe_for(Config(dataset="mnist")) == CLOTHES


def test_penalties_fall_along_a_geometric_line_and_none_stays_none():
    recipe = GRID._replace(steps=100, penalty_fall=1e-4)
    fell = np.array([float(penalty(2.0, recipe, jnp.array(step))) for step in (0, 20, 40, 60, 80, 100)])
    np.testing.assert_allclose(fell, 2 * 10.0**np.array([0, -1, -2, -3, -4, -4]), rtol=1e-4)
    assert penalty(0.0, recipe, jnp.array(3)) == 0 and isinstance(penalty(0.0, recipe, jnp.array(3)), float)


def test_real_points_are_seen_with_unit_scale():
    for name in ("ring", "grid"):
        subject = points(name, GRID)
        batch = subject.sample(jax.random.key(0))
        assert np.sqrt(np.mean(batch.real**2)) == pytest.approx(1, abs=0.05)


def test_who_diverged_is_named():
    ends = Watched(None, np.full(4, 9), np.array([0, 4, 1200, 7]), np.array([0, GENERATOR, DISCRIMINATOR, NEITHER]),
                   np.array([0, 12.5, np.finfo(np.float32).max, 0]))
    assert report.of_divergence(ends, ["seed 0", "seed 1", "seed 2", "seed 3"]) == [
        "seed 1 diverged at step 4 by the generator's gradient, of norm 12.5: what is judged is the average up to "
        "then.",
        "seed 2 diverged at step 1,200 by the discriminator's gradient, of norm not finite: what is judged is the "
        "average up to then.",
        "seed 3 diverged at step 7 by a number that is not finite, in no gradient: what is judged is the average up to "
        "then."]
    np.testing.assert_array_equal(report.diverged(ends), [0, 1, 1, 1])


def test_every_seed_is_shown_where_there_are_several():
    metrics = {"modes": np.array([8.0, 7.0]), "reverse_kl": np.array([0.0123456, 0.5])}
    assert report.of_seeds(metrics, ["seed 3", "seed 4"]) == ["modes of seed 3 to 4: 8, 7",
                                                              "reverse_kl of seed 3 to 4: 0.01235, 0.5"]
    assert report.of_seeds(metrics, ["seed 3"]) == []


def test_modes_of_stacks_are_counted_as_triples():
    classes = np.array([[0, 0, 9, 0], [1, 1, 9, 1], [2, 3, 9, 2]])  # of each channel: two of the four are alike
    modes, reverse_kl = mode_counts(classes, 10)
    assert modes == 3 and reverse_kl == pytest.approx(np.log(1000) - 1.5 * np.log(2), rel=1e-5)


def test_copies_are_told_from_new_images():
    digits = embedded_digits.load()
    copies, unseen = digits.train_images[:50], digits.test_images[:50]
    run = types.SimpleNamespace(seconds={})  # what has run so long
    ratios = likeness.nearest_ratios(run, np.stack([copies, unseen]), digits)
    np.testing.assert_allclose(ratios, [0, 1])
    np.testing.assert_array_equal(likeness.nearest_training(copies, digits), np.arange(50))
