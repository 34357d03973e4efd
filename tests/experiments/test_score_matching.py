"""The score-matching experiment, a short run of it through its real command line."""

import json
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments.data import embedded_digits
from experiments.diffusing import pictures, points
from experiments.diffusing.adaptive import adaptive_log_density
from experiments.diffusing.baselines import bits_of_mixtures
from experiments.diffusing.objectives import OBJECTIVES, objective, process_of
from experiments.diffusing.pictures import draw_rows, picture_diffuser
from experiments.diffusing.points import PLANES, point_diffuser
from experiments.diffusing.recipes import CLOTHES, DIGITS, POINTS, RECIPES, recipe_for
from experiments.diffusing.sampling import SAMPLERS
from experiments.runner.errors import UserError
from experiments.score_matching import Config, settled
from experiments.vision import likeness
from experiments.vision.problem import Part
from sandbox import score_matching
from sandbox.score_matching import (
    PROCESSES,
    WEIGHTINGS,
    draw_noised,
    edm_weighting,
    in_process,
    mixture_score,
    ring_mixture,
)
from tests.experiments import command

SHORT = ("score_matching", "--steps", 300, "--width", 32, "--layers", 2, "--objectives", "denoising", "flow",
         "--seeds", 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("score_matching")
    code, out, err = command.run(*SHORT, cwd=cwd)
    assert code == 0, err
    return cwd / "runs" / "score_matching" / "latest", out


@pytest.mark.slow
def test_a_short_run_comes_nearer_to_the_mixture(finished):
    directory, out = finished
    summary = json.loads((directory / "summary.json").read_text())
    reached = summary["metrics"]
    assert set(reached) == {"kl_nats", "kl_nats_flow", "nll_error_nats", "nll_error_hutchinson_nats",
                            "within_two_standard_errors"}
    untrained = math.log(2 * math.pi * 8.25) + 1 - math.log(8 * 2 * math.pi * math.e * 0.25)  # a Gaussian as wide
    assert all(0 < value < untrained / 2 for name in ("kl_nats", "kl_nats_flow") for value in reached[name]["per_seed"])
    assert reached["nll_error_nats"]["mean"] < 1e-3 < reached["nll_error_hutchinson_nats"]["mean"]
    assert 0.85 < reached["within_two_standard_errors"]["mean"] <= 1
    assert summary["dataset"] == "mixture" and "By denoising, flow: 2 x 2 scores of " in out
    assert {path.stem for path in (directory / "figures").iterdir()} == {"field", "making", "learning"}


@pytest.mark.slow
def test_a_finished_run_samples_and_tells_densities(finished):
    diffuser = experiments.load(finished[0]).model
    assert diffuser.num == 2
    drawn, other = diffuser.sample(400, seed=3), diffuser.sample(400, seed=3, model=1)
    assert drawn.shape == (400, 2) and not np.allclose(drawn, other)
    np.testing.assert_array_equal(drawn, diffuser.sample(400, seed=3))
    assert abs(np.median(np.hypot(*drawn.T)) - 4) < 0.5
    inside, outside = diffuser.log_density([[4.0, 0.0], [0.0, 0.0]])
    assert inside > outside + 2
    toward = diffuser.score([[6.0, 0.0]], 1.0)[0]
    assert toward[0] < -0.5 and abs(toward[1]) < 0.5
    filled = diffuser.inpaint([[4.0, 9.0]] * 100, [True, False], seed=1)
    np.testing.assert_array_equal(filled[:, 0], 4.0)
    assert np.mean(np.abs(filled[:, 1]) < 1.5) > 0.4 > np.mean(np.abs(drawn[:, 1]) < 1.5) + 0.05, "given x = 4, y is 0"
    for call, words in (
            (lambda: diffuser.sample(0), "num must be at least 1, got 0"),
            (lambda: diffuser.sample(2, labels=np.zeros(2, int)), "labels must be left out"),
            (lambda: diffuser.sample(2, model=2), "model must be 0 to 1, got 2"),
            (lambda: diffuser.sample(2, sampler="euler"), "sampler must be one of heun"),
            (lambda: diffuser.sample(2, evaluations=0), "evaluations must be at least 3, got 0"),
            (lambda: diffuser.sample(2, guidance=2.0), "guidance must be 1 where no labels are given, got 2.0"),
            (lambda: diffuser.log_density(np.zeros((2, 3))), r"x must be \(N, 2\), got \(2, 3\)"),
            (lambda: diffuser.log_density(drawn, steps=0), "steps must be at least 1, got 0"),
            (lambda: diffuser.log_density(drawn, projections=-1), "projections must be 0 or more, got -1"),
            (lambda: diffuser.score(drawn, 0.0), "level must be above 0, got 0.0")):
        with pytest.raises(UserError, match=words):
            call()


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_numbers(finished, tmp_path):
    command.kill_and_resume(*SHORT, stage="flow", cwd=tmp_path)
    never, twice = (json.loads((where / "summary.json").read_text()) for where in (finished[0], tmp_path / "run"))
    assert twice["metrics"] == never["metrics"]


@pytest.mark.slow
def test_digits_are_counted_in_bits_and_learned_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {"MOST_TRACED": 20 * 64, "MOST_JUDGED": 40, "MOST_MADE": 130, "STEPS": 10}.items():
        monkeypatch.setattr(pictures, name, value)
    result = experiments.score_matching.run(Config(dataset="digits", steps=40, width=16, layers=1, channels=2,
                                                   judging_epochs=3.0, hold_out=0.2))
    reached = {name: metric["mean"] for name, metric in result.summary["metrics"].items()}
    assert set(reached) == {"val_bits_per_dim", "val_bits_per_dim_hutchinson", "val_classifier_accuracy", "memorised"}
    assert reached["val_bits_per_dim"] < math.log2(17), "fewer than of a uniform count"
    assert abs(reached["val_bits_per_dim"] - reached["val_bits_per_dim_hutchinson"]) < 0.2, "20 images against 40"
    assert "Uniform counts have 4.087, a Gaussian " in result.sample
    assert set(result.figures) == {"made", "making", "inpainting", "learning"}
    diffuser = experiments.load(result.directory).model
    made = diffuser.sample(3, labels=[7, 7, 1], evaluations=5, guidance=2.0)
    assert made.shape == (3, 8, 8, 1) and made.dtype == np.uint8 and made.max() <= 16
    for call, words in ((lambda: diffuser.sample(2, labels=[3, 10]), "labels must be 2 whole numbers of 0 to 9"),
                        (lambda: diffuser.inpaint(made[..., 0, 0], True), r"images must be \(N, 8, 8, 1\)")):
        with pytest.raises(UserError, match=words):
            call()
    filled = diffuser.inpaint(made[..., 0], np.arange(64).reshape(8, 8) < 32, evaluations=5)
    np.testing.assert_array_equal(filled[:, :4], made[:, :4])
    with pytest.raises(UserError, match=r"mask must be \(8, 8, 1\) or \(3, 8, 8, 1\), got \(3,\)"):
        diffuser.inpaint(made, np.ones(3, bool))


@pytest.mark.slow
def test_samplers_and_likelihoods_are_held_against_each_other(tmp_path, monkeypatch):
    """Of points whose density is not known in closed form, in this process; and brought back to the same bits."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"TESTED": 500, "EXACTLY_TESTED": 20, "COMPARED": 300, "EVALUATIONS": (5,), "MANY": 20,
                        "OTHER_STEPS": (2,), "COARSE": (1e-3,), "STEPS": 4}.items():
        monkeypatch.setattr(points, name, value)
    result = experiments.score_matching.run(Config(dataset="two-moons", steps=30, width=8, layers=1, seeds=2,
                                                   compare=("heun", "euler-maruyama")))
    reached = result.summary["metrics"]
    assert set(reached) == {"nll_nats", "mmd_heun_5", "mmd_euler-maruyama_5", "mmd_euler-maruyama_20"}
    assert all(len(set(metric["per_seed"])) == 2 for metric in reached.values()), "of each seed its own"
    assert set(result.figures) == {"field", "making", "evaluations", "learning"}
    again = experiments.load(result.directory).model
    drawn = result.model.sample(20, seed=1)
    np.testing.assert_array_equal(again.sample(20, seed=1), drawn)
    np.testing.assert_array_equal(again.log_density(drawn), result.model.log_density(drawn))


@pytest.mark.slow
def test_two_devices_share_the_seeds_of_a_checkerboard(tmp_path):
    code, _, err = command.run("score_matching", "--dataset", "checkerboard", "--steps", 20, "--width", 8, "--layers",
                               1, "--seeds", 2, "--mesh", "data=2", "--process", "variance_preserving", "--weighting",
                               "likelihood", cwd=tmp_path)
    assert code == 0, err
    reached = json.loads((tmp_path / "runs/score_matching/latest/summary.json").read_text())["metrics"]
    assert set(reached) == {"kl_nats"} and reached["kl_nats"]["mean"] > 0


def test_an_untrained_score_of_points_is_a_gaussians():
    """So its density is known; the adaptive solver finds it, or says that it did not."""
    diffuser = point_diffuser(POINTS._replace(width=4, layers=1), 2.0, 0.5)
    diffuser = diffuser.with_params(jax.tree.map(lambda leaf: leaf[None], diffuser.init(jax.random.key(0))))
    x = np.array([[0.5, 0.5], [3.0, -2.0]], np.float32)
    variance = 2.0**2 + POINTS.least_level**2
    exact = -0.5 * np.sum((x - 0.5)**2, axis=1) / variance - math.log(2 * math.pi * variance)
    found = adaptive_log_density(diffuser, x)
    np.testing.assert_allclose(found.log_density, exact, atol=1e-4)
    np.testing.assert_allclose(diffuser.log_density(x), exact, atol=1e-4)
    assert found.evaluations > 13
    with pytest.raises(ValueError, match="key must be given where there are projections"):
        diffuser.likelihood(diffuser.params, x, projections=2)
    with pytest.raises(UserError, match="the adaptive solver did not converge in 2 steps at tolerance 1e-05"):
        adaptive_log_density(diffuser, x, most_steps=2)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("evaluations", [3, 10])
def test_samplers_ask_no_more_often_than_they_may(name, evaluations):
    asked = []

    def score_fn(x, level):
        asked.append(float(level[0]))
        return -x / (1 + level[:, None]**2)

    with jax.disable_jit():
        drawn = SAMPLERS[name](jax.random.key(0), (2, 2), score_fn=score_fn, evaluations=evaluations, least=0.1,
                               most=10.0, start=None)
    assert np.all(np.isfinite(drawn.samples))
    assert evaluations - 1 <= len(asked) <= evaluations and min(asked) >= 0.099


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(("process", "weighting"), [("by_level", "edm"), ("variance_preserving", "likelihood")])
def test_an_objective_is_its_loss_under_its_process_and_weighting(name, process, weighting):
    sigma_data, mixture = 2.9, ring_mixture()
    goal = objective(name, process=process, weighting=weighting, recipe=POINTS, sigma_data=sigma_data)
    x = jnp.ones((8, 2)) * jnp.array([[4.0, 0.0]])
    batch = draw_noised(jax.random.key(1), x, goal.draw_times(jax.random.key(0), 8), num_projections=1)

    def score_fn(params, x, level):
        return 0.9 * mixture_score(x, level, mixture)

    way = process_of("linear_path" if name == "flow" else process, POINTS)
    how = {} if name == "flow" else {"sigma_data": sigma_data} if name == "edm" else {
        "weighting": WEIGHTINGS["likelihood"] if weighting == "likelihood" else edm_weighting(sigma_data)}
    loss = getattr(score_matching, {"flow": "flow_matching_loss"}.get(name, f"{name}_loss"))
    expected, _ = loss(None, batch, score_fn=in_process(score_fn, way), process=way, **how)
    assert np.isfinite(expected)
    np.testing.assert_allclose(goal.loss(None, batch, score_fn=score_fn)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("name", PROCESSES)
def test_times_of_a_process_are_those_of_the_levels_asked_for(name):
    recipe = POINTS._replace(least_level=0.1, most_level=20.0)
    process = process_of(name, recipe)
    ends = jnp.array([process.t_min, process.t_max])
    np.testing.assert_allclose(process.level(ends) / process.scale(ends), [0.1, 20.0], rtol=0.05)


def test_rows_of_images_are_dequantised_and_some_have_no_class():
    images = np.arange(40, dtype=np.uint8).reshape(10, 2, 2, 1) % 17
    diffuser = picture_diffuser(DIGITS._replace(width=4, layers=1, channels=1), (2, 2, 1), 3, 16, 5.0, 8.0)
    part = Part(jnp.asarray(images), jnp.arange(10, dtype=jnp.int32) % 3)
    recipe = DIGITS._replace(batch_size=500, classless=0.25)
    x, (labels,) = draw_rows(jax.random.key(0), part, diffuser=diffuser, recipe=recipe)
    counts = np.floor(x)
    assert {tuple(row.ravel()) for row in counts} <= {tuple(row.ravel()) for row in images.astype(float)}
    assert abs(np.mean(x - counts) - 0.5) < 0.05
    assert abs(np.mean(np.asarray(labels) == 3) - 0.25) < 0.08 and set(np.unique(labels)) == {0, 1, 2, 3}


def test_mixtures_fitted_to_digits_have_the_bits_that_they_are_known_for():
    bits = bits_of_mixtures(embedded_digits.load(), seed=0)
    assert bits.uniform == math.log2(17) and bits.tried == 15
    assert bits.mixture < bits.gaussian and abs(bits.gaussian - 2.95) < 0.03


def test_copies_are_memorised_and_unseen_images_are_not():
    run = types.SimpleNamespace(seconds={})
    digits = embedded_digits.load()
    copies = digits.train_images[:50]
    shares = likeness.memorised(run, np.stack([copies, digits.test_images[:50]]), digits)
    assert shares[0] > 0.95 and shares[1] < 0.05 and shares[2] < 0.05


@pytest.mark.parametrize("flags, words", [
    ({"preset": "slow"}, "--preset must be one of quick, full, gpu"),
    ({"objectives": ("score",)}, "--objectives must be one or more of denoising, implicit"),
    ({"objectives": ("edm", "edm")}, "--objectives must be one or more of"),
    ({"compare": ("euler",)}, "--compare must be one or more of heun"),
    ({"process": "vp"}, "--process must be one of by_level"),
    ({"weighting": "sigma"}, "--weighting must be one of noise"),
    ({"weighting": "likelihood"}, "--weighting likelihood must be with another --process"),
    ({"hold_out": 1.0}, "--hold-out must be at least 0 and below 1, got 1.0"),
    ({"steps": 0}, "--steps must be at least 1, got 0"),
    ({"least_level": 0.0}, "--least-level must be above 0, and finite, got 0.0"),
    ({"level_std": -1.0}, "--level-std must be above 0, and finite, got -1.0"),
    ({"level_mean": math.nan}, "--level-mean must be finite, got nan"),
    ({"average": 1.5}, r"--average must be in \[0, 1\], got 1.5"),
])
def test_flags_are_refused_at_the_door(flags, words):
    with pytest.raises(UserError, match=words):
        Config(**flags)


@pytest.mark.parametrize(("flags", "words"), [
    (("--dataset", "spiral"), "--dataset must be one of embedded, mixture, two-moons, checkerboard, swiss-roll, "
                              "digits, mnist, fashion-mnist, cifar-10, or an .npz file, got spiral"),
    (("--least-level", 50.0), "--least-level must be below --most-level, 40.0, got 50.0"),
    (("--hold-out", 0.2), "--hold-out must be left out for points, got 0.2"),
    (("--channels", 4), "--channels must be left out for points, got 4"),
    (("--dataset", "digits", "--compare", "heun"), "--compare must be left out for images, got ('heun',)"),
    (("--dataset", "digits", "--classless", 0), "--classless must be above 0: bits are of images without a class"),
    (("--process", "variance_preserving", "--level-std", 2), "--level-std must be left out but with --process"),
])
def test_what_cannot_be_is_refused_before_anything_is_made(flags, words, tmp_path):
    code, _, err = command.call("score_matching", *flags, cwd=tmp_path)
    assert code == 2 and words in err and "Traceback" not in err and not (tmp_path / "runs").exists()


def test_what_is_settled_stays_so_and_full_runs_of_points_learn_by_everything():
    full = settled(experiments.configure("score_matching", "full"))
    assert full.objectives == OBJECTIVES and full.compare == tuple(SAMPLERS) and full.steps == POINTS.steps
    of_digits = settled(experiments.configure("score_matching", "full", dataset="digits"))
    assert of_digits.objectives == ("denoising",) and of_digits.compare == ()
    for config in (full, of_digits, settled(Config(process="linear_path"))):
        assert settled(config) == config, "as it is when a run is gone on with"


def test_every_set_has_its_recipe_and_flags_stand_over_it():
    assert RECIPES["digits"] == DIGITS and recipe_for(Config(dataset="fashion-mnist"), False) == CLOTHES
    assert set(PLANES) == {"embedded", "mixture", "two-moons", "checkerboard", "swiss-roll"}
    changed = recipe_for(Config(steps=7, most_level=9.0), True)
    assert changed == POINTS._replace(steps=7, most_level=9.0)
