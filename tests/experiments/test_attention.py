"""The language experiment, a few steps of it through its real command line."""

import io
import json

import jax
import numpy as np
import pytest

import experiments
from experiments import attention
from experiments.attention import Config, network, schedules
from experiments.data import Alphabet, DataError, texts
from experiments.runner import cli
from experiments.runner.errors import UserError
from experiments.writing import figures, problem
from experiments.writing.writer import Writer
from sandbox.attention import Tokens
from tests.experiments import command

SMALL = ("--layers", 1, "--width", 16, "--heads", 2, "--context", 16, "--batch-size", 8, "--sample-tokens", 20)
SHORT = ("attention", *SMALL, "--steps", 300)
SONG = "row row row your boat gently down the stream\n" * 40


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "song.txt"
    path.write_text(SONG)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, song):
    cwd = tmp_path_factory.mktemp("attention")
    code, out, err = command.run(*SHORT, "--text", song, "--seeds", 2, "--prompt", "row row ", "--temperature", 0,
                                 cwd=cwd)
    assert code == 0, err
    return cwd / "runs" / "attention" / "latest", out


@pytest.mark.slow
def test_a_short_run_learns_a_song_by_heart_and_writes_it(finished):
    directory, out = finished
    summary = json.loads((directory / "summary.json").read_text())
    metrics = summary["metrics"]
    assert set(metrics) == {"val_loss", "val_accuracy", "val_bits_per_character"} and summary["seeds"] == [0, 1]
    assert metrics["val_loss"]["mean"] < 0.5, "nats; guessing by frequency alone comes to 2.6"
    assert metrics["val_bits_per_character"]["mean"] == pytest.approx(metrics["val_loss"]["mean"] / np.log(2), rel=1e-5)
    assert {path.name for path in (directory / "figures").iterdir()} == {
        "attention.png", "jacobian.png", "learning.png"}
    assert "After 'row row ' it writes:" in out and "row your" in out


@pytest.mark.slow
def test_a_finished_run_writes_scores_and_shows_where_it_looks(finished):
    writer = experiments.load(finished[0]).model
    assert writer.write("row row ", 8, temperature=0) in SONG and len(writer.write("gently", 30, seed=3)) == 30
    assert writer.write("gently", 30, seed=3) == writer.write("gently", 30, seed=3)
    assert writer.nats("gently down").shape == (10,) and np.all(writer.nats("gently down") >= 0)
    assert writer.nats("gently down")[-4:].mean() < writer.nats("gnltye dnwo")[-4:].mean()
    maps = writer.attention_maps("gently")
    assert maps.shape == (1, 2, 6, 6) and np.allclose(maps.sum(-1), 1, atol=1e-5)
    assert np.all(np.triu(maps[0, 0], 1) == 0), "it sees what follows"
    with pytest.raises(DataError, match="character 2, 'X', is none of the"):
        writer.write("bXat")
    with pytest.raises(UserError, match="a prompt needs at least one character"):
        writer.write("")
    with pytest.raises(ValueError, match=r"top_p must be in \(0, 1\], got 1.5"):
        writer.write("boat", top_p=1.5)
    with pytest.raises(ValueError, match="temperature must be 0 or more and finite, got -1"):
        writer.write("boat", temperature=-1)


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_to_the_same_numbers(finished, song, tmp_path):
    flags = (*SHORT, "--text", song, "--seeds", 2, "--prompt", "row row ", "--temperature", 0)
    command.kill_and_resume(*flags, stage="learn", cwd=tmp_path)
    never, twice = (json.loads((where / "summary.json").read_text())
                    for where in (finished[0], tmp_path / "run"))
    assert twice["metrics"] == never["metrics"] and twice["sample"] == never["sample"]


@pytest.mark.slow
def test_bytes_of_any_file_dropout_bfloat16_and_two_devices(tmp_path):
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 4)
    code, out, err = command.run("attention", *SMALL, "--steps", 3, "--text", "noise.bin", "--unit", "bytes",
                                 "--dropout", 0.5, "--dtype", "bfloat16", "--mesh", "data=2", cwd=tmp_path)
    assert code == 0, err
    assert "val_bits_per_byte" in out


@pytest.mark.parametrize(("flags", "words"), [
    (("--steps", 0), "--steps must be at least 1, got 0"),
    (("--context", 1), "--context must be at least 2, got 1"),
    (("--heads", 5), "--heads must be such that --width 96 / heads is even, got 5"),
    (("--key-heads", 2), "--key-heads must be a divisor of --heads 3, got 2"),
    (("--dropout", 1), "--dropout must be in [0, 1), got 1.0"),
    (("--top-p", 0), "--top-p must be in (0, 1], got 0.0"),
    (("--temperature", -1), "--temperature must be 0 or more, and finite, got -1.0"),
    (("--decay", 2), "--decay must be in [0, 1], got 2.0"),
    (("--unit", "words"), "--unit must be characters or bytes, got words"),
    (("--dtype", "float8"), "--dtype must be float32 or bfloat16, got float8"),
    (("--implementation", "flash"), "--implementation must be one of auto, dense, blockwise, fused, got flash"),
    (("--prompt", ""), "--prompt must be at least one character, got ''"),
])
def test_wrong_flags_are_refused(flags, words):
    with pytest.raises(UserError) as refused:
        cli.parse("attention", attention, [str(flag) for flag in flags])
    assert str(refused.value) == words


@pytest.mark.parametrize(("flags", "content", "words"), [
    (("--text", "gone.txt"), None, "--dataset must be embedded, tinyshakespeare or a text file, and there is no"),
    (("--text", "own.txt"), b"", "own.txt: the text is empty"),
    (("--text", "own.txt"), b"caf\xe9" * 200, "not UTF-8 text at byte 3"),
    (("--text", "own.txt"), b"short", "but a context of 16 takes 17; give a longer text or a smaller --context"),
    (("--text", "own.txt", "--batch-size", 20), b"short " * 30, "but 20 blocks of 16 take 336; give a longer text, or"),
    (("--prompt", "π"), None, "'π', is none of the"),
], ids=["no file", "empty", "not UTF-8", "short", "short for a batch", "unknown character"])
def test_texts_and_prompts_that_cannot_be_are_refused(flags, content, words, tmp_path):
    if content is not None:
        (tmp_path / "own.txt").write_bytes(content)
    code, _, err = command.call("attention", *SMALL, *flags, cwd=tmp_path)
    assert code == 2 and words in err and "Traceback" not in err
    assert not (tmp_path / "runs").exists(), "refused before anything is written"


def test_figures_of_a_text_full_of_dollars_and_controls():
    text = texts.of_string("paper", r"where $\alpha$ is \mathbf{q}_i$ " * 9 + "\x00\r")
    model = network(Config(layers=1, width=8, heads=1), text.alphabet)
    writer = Writer(model, model.init(jax.random.key(0), jax.numpy.zeros((1, 1), int)), text.alphabet, 16)
    for draw in (figures.softmax_jacobian, figures.attention_maps):
        draw(writer, r"$\alpha$ is").savefig(io.BytesIO())


def test_blocks_to_judge_on_fill_whole_batches():
    blocks = texts.blocks(np.arange(16 * 70 + 5), 16)
    batches = problem.in_batches(blocks)
    assert batches.inputs.shape == (2, 64, 15)
    assert float(batches.weights.sum()) == blocks.weights.sum() == 16 * 70 + 5 - 71
    assert isinstance(batches, Tokens)


def test_learning_rates_rise_stay_and_fall():
    rate_of = schedules(Config(steps=100, warmup=9, decay=0.5, matrix_learning_rate=0.1))
    rates = np.asarray(jax.vmap(rate_of["matrices"])(np.arange(101)))
    assert rates[0] == pytest.approx(0.01) and np.allclose(rates[9:50], 0.1) and rates[100] == 0
    assert np.all(np.diff(rates[50:]) < 0) and rate_of["embedding"](20) == pytest.approx(0.02)
    crowded = np.asarray(jax.vmap(schedules(Config(steps=30, warmup=20, decay=0.6))["matrices"])(np.arange(31)))
    assert np.abs(np.diff(crowded)).max() < 0.002, "no jump where it falls before it has risen"


@pytest.mark.parametrize(("preset", "most_parameters", "tokens"), [
    ("full", 810_000, 2000 * 12 * 64), ("gpu", 10_800_000, 5000 * 64 * 256)])
def test_presets_keep_to_their_budgets(preset, most_parameters, tokens):
    config = experiments.configure("attention", preset)
    model = network(config, Alphabet("".join(map(chr, range(65)))))
    shapes = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 1), "int32"))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) <= most_parameters
    assert config.steps * config.batch_size * config.context == tokens
