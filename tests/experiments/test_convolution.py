"""The vision experiment, a few steps of it through its real command line."""

import io
import json

import jax
import numpy as np
import pytest

import experiments
from experiments import convolution
from experiments.convolution import Config, network
from experiments.data import embedded_digits
from experiments.runner import cli
from experiments.runner.errors import UserError
from experiments.vision import figures, problem, report
from experiments.vision.classifier import ImageClassifier
from experiments.vision.learning import schedule
from experiments.vision.problem import Augmentation, Part, Scale
from tests.experiments import command

SMALL = ("--widths", 8, 16, "--depths", 1, 0)
SHORT = ("convolution", *SMALL, "--epochs", 10, "--seeds", 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("convolution")
    code, out, err = command.run(*SHORT, cwd=cwd)
    assert code == 0, err
    return cwd / "runs" / "convolution" / "latest", out


@pytest.mark.slow
def test_a_short_run_learns_digits(finished):
    directory, out = finished
    summary = json.loads((directory / "summary.json").read_text())
    assert set(summary["metrics"]) == {"test_accuracy", "test_nats"} and summary["seeds"] == [0, 1]
    assert summary["metrics"]["test_accuracy"]["mean"] > 0.9, "guessing comes to 0.1"
    assert summary["reference"]["test_accuracy"]["value"] == 0.97
    assert {path.stem for path in (directory / "figures").iterdir()} == {
        "learning", "filters", "weight_gradient", "confusion", "saliency", "mistakes"}
    assert "1,437 images to learn from, 360 to be judged on" in out


@pytest.mark.slow
def test_a_finished_run_classifies_and_shows_what_it_looks_at(finished):
    classifier = experiments.load(finished[0]).model
    digits = embedded_digits.load()
    p = classifier.probabilities(digits.test_images)
    assert p.shape == (360, 10) and np.allclose(p.sum(axis=1), 1, atol=1e-5)
    accuracy = json.loads((finished[0] / "summary.json").read_text())["metrics"]["test_accuracy"]["per_seed"][0]
    assert np.mean(p.argmax(axis=1) == digits.test_labels) == pytest.approx(accuracy)
    best = classifier.classify(digits.test_images[0, ..., 0], most=2)
    assert len(best) == 2 and next(iter(best)) == str(p[0].argmax()) and max(best.values()) == pytest.approx(p[0].max())
    assert classifier.filters().shape == (3, 3, 1, 8)
    with pytest.raises(UserError, match=r"images must be \(N, 8, 8, 1\) of uint8, 0 to 16, as it has learned from, got "
                                        r"\(1, 9, 8, 1\) of uint8"):
        classifier.classify(np.zeros((9, 8), np.uint8))
    with pytest.raises(UserError, match="full brightness is 16 in what it has learned from, got a pixel of 17"):
        classifier.classify(np.full((8, 8), 17, np.uint8))
    with pytest.raises(UserError, match="of float64"):
        classifier.probabilities(np.zeros((1, 8, 8)))


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_numbers(finished, tmp_path):
    command.kill_and_resume(*SHORT, stage="learn", cwd=tmp_path)
    never, twice = (json.loads((where / "summary.json").read_text()) for where in (finished[0], tmp_path / "run"))
    assert twice["metrics"] == never["metrics"]


@pytest.mark.slow
def test_colours_of_ones_own_a_residual_network_held_out_images_and_two_devices(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (rng.integers(0, 100, (40, 8, 6, 3)) + 100 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "own.npz", train_images=images, train_labels=labels, test_images=images[:4],
             test_labels=labels[:4], class_names=["dark", "bright\nwhite"])
    code, out, err = command.run(
        "convolution", "--dataset", "own.npz", "--network", "residual", "--widths", 16, "--depths", 1, "--epochs", 6,
        "--batch-size", 10, "--seeds", 1, "--hold-out", 0.25, "--mixup", 0.2, "--cutout", 2, "--flip", 0.5,
        "--dtype", "bfloat16", "--mesh", "data=2", cwd=tmp_path)
    assert code == 0, err
    assert "val_accuracy" in out and "test_accuracy" not in out and "30 images to learn from, 10 to be judged on" in out


@pytest.mark.parametrize(("flags", "words"), [
    (("--network", "huge"), "--network must be small or residual, got huge"),
    (("--epochs", 0), "--epochs must be more than 0, and finite, got 0.0"),
    (("--widths", 0), "--widths must be one number or more, each at least 1, got (0,)"),
    (("--depths", 1), "--depths must be as many numbers as --widths, 3, each 0 or more, got (1,)"),
    (("--network", "residual"), "--depths must be 1 or more each for a residual network, got (1, 1, 0)"),
    (("--network", "residual", "--widths", 24, "--depths", 1),
     "--widths must be multiples of 16 for a residual network, got (24,)"),
    (("--batch-size", 0), "--batch-size must be at least 1, got 0"),
    (("--stem-strides", 0), "--stem-strides must be at least 1, got 0"),
    (("--average", 2), "--average must be in [0, 1], got 2.0"),
    (("--hold-out", 1), "--hold-out must be in [0, 1), got 1.0"),
    (("--label-smoothing", 1), "--label-smoothing must be in [0, 1), got 1.0"),
    (("--learning-rate", -1), "--learning-rate must be 0 or more, and finite, got -1.0"),
    (("--warmup", 2), "--warmup must be in [0, 1], got 2.0"),
    (("--flip", 2), "--flip must be in [0, 1], got 2.0"),
    (("--dtype", "float8"), "--dtype must be float32 or bfloat16, got float8"),
])
def test_wrong_flags_are_refused(flags, words):
    with pytest.raises(UserError) as refused:
        cli.parse("convolution", convolution, [str(flag) for flag in flags])
    assert str(refused.value) == words


@pytest.mark.parametrize(("flags", "words"), [
    (("--dataset", "gone.npz"), "or an .npz file, and there is no 'gone.npz'"),
    (("--batch-size", 2000), "--batch-size must be at most the 1,437 images to learn from, got 2000"),
])
def test_data_and_batches_that_cannot_be_are_refused(flags, words, tmp_path):
    code, _, err = command.call("convolution", *SMALL, *flags, cwd=tmp_path)
    assert code == 2 and words in err and "Traceback" not in err


@pytest.mark.parametrize(("preset", "dataset_shape"), [("full", (28, 28, 1)), ("quick", (8, 8, 1))])
def test_small_networks_have_under_100_000_parameters(preset, dataset_shape):
    model = network(experiments.configure("convolution", preset), 10)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *dataset_shape), "float32"))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) < 100_000


def test_learning_rates_rise_and_fall():
    rates = np.asarray(jax.vmap(schedule(0.1, 0.1, 100))(np.arange(101)))
    assert 0 < rates[0] < 0.02 and rates[10] == pytest.approx(0.1) == rates.max() and rates[100] == 0
    assert np.all(np.diff(rates[:11]) > 0) and np.all(np.diff(rates[10:]) < 0)


def test_a_batch_has_each_image_with_its_own_class_scaled():
    pixels = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    scale = Scale(np.array([0.25]), np.array([0.5]), 10)
    batch = problem.draw(jax.random.key(0), 0, Part(pixels, np.arange(6)), scale=scale, num_classes=6, batch_size=6,
                         how=Augmentation())
    shown = np.asarray(batch.images[:, 0, 0, 0]) * 0.5 + 0.25
    np.testing.assert_allclose(shown * 10, np.argmax(batch.targets, axis=1), atol=1e-5)
    assert sorted(np.argmax(batch.targets, axis=1)) == list(range(6))


def test_confusion_counts_what_is_taken_for_what():
    log_p = np.log(np.array([[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]]))
    part = Part(np.zeros((3, 1, 1, 1), np.uint8), np.array([0, 1, 1]))
    assert report.confusion(log_p[0], part).tolist() == [[1, 0], [1, 1]]
    reached = report.metrics(log_p, part, "test")
    assert reached["test_accuracy"] == pytest.approx(2 / 3)
    assert reached["test_nats"] == pytest.approx(-np.log([0.9, 0.8, 0.3]).mean())


@pytest.mark.slow
@pytest.mark.parametrize(("size", "strides"), [(3, 1), (4, 2), (5, 3)])
def test_the_gradient_of_the_stem_is_the_middle_of_the_correlation(size, strides):
    """In colour, and where SAME pads unevenly."""
    rng = np.random.default_rng(0)
    model = network(Config(widths=(4,), depths=(0,), stem_size=size, stem_strides=strides), 3)
    params = model.init(jax.random.key(0), np.zeros((1, 9, 8, 3)))
    params["params"]["head"]["kernel"] = rng.normal(size=(4, 3)).astype(np.float32)
    classifier = ImageClassifier(model, params, (9, 8, 3), Scale(np.zeros(3), np.ones(3), 255), ("a", "b", "c"))
    images = rng.integers(0, 256, (5, 9, 8, 3)).astype(np.uint8)
    x, at_output, by_autodiff = classifier.back_through_stem(images[0], 1)
    lags = figures.correlation_by_lag(x, at_output, size, strides)
    middle = lags[figures.LAGS:-figures.LAGS, figures.LAGS:-figures.LAGS]
    np.testing.assert_allclose(middle, by_autodiff, atol=1e-5 * np.abs(by_autodiff).max())
    part = Part(jax.numpy.asarray(images), jax.numpy.array([0, 1, 2, 0, 1]))
    for draw in (figures.weight_gradient, figures.saliency):
        draw(classifier, part).savefig(io.BytesIO())


@pytest.mark.slow
def test_saliency_is_the_slope_of_the_logit():
    digits = embedded_digits.load()
    model = network(Config(widths=(4,), depths=(0,)), 10)
    rng = np.random.default_rng(0)
    params = model.init(jax.random.key(0), np.zeros((1, 8, 8, 1)))
    params["params"]["head"]["kernel"] = rng.normal(size=(4, 10)).astype(np.float32)
    scale = Scale(np.array([0.3]), np.array([0.4]), 16)
    classifier = ImageClassifier(model, params, (8, 8, 1), scale, digits.class_names)
    image = digits.test_images[:1].copy()
    image[0, 4, 4, 0] = 7

    def logit(pixel):
        changed = np.asarray(image, np.float32)
        changed[0, 4, 4, 0] = pixel
        return float(model.apply(params, problem.scaled(changed, scale))[0, 3])

    slope = classifier.saliency(image, np.array([3]))[0, 4, 4, 0]
    np.testing.assert_allclose((logit(7.1) - logit(6.9)) / (0.2 / 16), slope, rtol=0.02, atol=1e-3)
