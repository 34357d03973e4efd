"""A transformer that learns to write: softmax(q kᵀ/√H) v, layer upon layer, and ∂softmax = diag(s) − s sᵀ.

It reads a text, character by character, guesses each from those before it, and is judged on a part of the text that
it has never seen: nats per character. Then it writes. Presets: quick, full, and gpu, which wants an accelerator.
"""

import dataclasses
import math
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from experiments.data import Alphabet, texts
from experiments.runner import metrics
from experiments.runner.config import RunConfig, require
from experiments.runner.devices import DTYPES
from experiments.runner.finish import finish
from experiments.runner.loop import begin, train
from experiments.runner.meshes import require_axes, require_divisible
from experiments.runner.result import Result
from experiments.runner.run import start
from experiments.runner.seeds import seed_keys, seed_labels
from experiments.runner.stage import Stage
from experiments.runner.summary import Reference
from experiments.writing import figures, problem, report
from experiments.writing.writer import Writer
from sandbox import attention, sharding
from sandbox.sharding import Rules
from sandbox.training import init_state, step_of

NAME = "attention"
NO_CHARACTERS = [-1]  # stands for bytes: an array of nothing cannot be saved


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A language model of characters."""

    dataset: Annotated[str, tyro.conf.arg(aliases=["--text"])] = "embedded"
    """What to learn from: embedded, the English of Python's own documentation; tinyshakespeare; or any text file."""
    unit: str = "characters"
    """What a token is: characters of the text, or bytes, which any file has."""
    steps: int = 300
    """Optimiser steps."""
    batch_size: int = 12
    """Blocks of the text in a step."""
    context: int = 64
    """Tokens of a block; what the model sees at once."""
    layers: int = 3
    """Number of blocks of attention and MLP."""
    width: int = 96
    """Components of the residual stream."""
    heads: int = 3
    """Heads of queries; width / heads must be even."""
    key_heads: int | None = None
    """Heads of keys and values, each shared by as many queries' heads; without it, as many as of queries."""
    dropout: float = 0.0
    """Probability that a component of a residual branch is left out of a step."""
    matrix_learning_rate: float = 0.02
    """Muon's, for the matrices of the blocks."""
    embedding_learning_rate: float = 0.02
    """Adam's, for the embedding."""
    head_learning_rate: float = 0.005
    """Adam's, for the head."""
    vector_learning_rate: float = 0.01
    """Adam's, for vectors."""
    momentum: float = 0.85
    """Muon's β."""
    warmup: int = 20
    """Steps in which learning rates rise from 0."""
    decay: float = 0.6
    """Last share of the steps, in which they fall to 0 again, along a line."""
    label_smoothing: float = 0.0
    """ε of the loss."""
    z_loss: float = 0.0
    """ζ of the loss, which keeps log Σ exp of the logits near 0."""
    implementation: str = "auto"
    """Of attention: auto, dense, blockwise or fused."""
    dtype: str = "float32"
    """What the model computes in: float32 or bfloat16. Parameters are float32."""
    prompt: str | None = None
    """What the sample at the end goes on from; without it, the beginning of the validation part."""
    sample_tokens: int = 400
    """Length of the sample."""
    temperature: float = 0.8
    """Of the sample; 0 takes the likeliest."""
    top_p: float = 0.95
    """Share of the likeliest tokens that the sample is drawn from."""

    def __post_init__(self):
        super().__post_init__()
        require(self.preset in PRESETS, "--preset", f"one of {', '.join(PRESETS)}", self.preset)
        require(self.unit in texts.UNITS, "--unit", " or ".join(texts.UNITS), self.unit)
        for flag in ("steps", "batch_size", "layers", "width", "heads", "sample_tokens"):
            require(getattr(self, flag) >= 1, f"--{flag.replace('_', '-')}", "at least 1", getattr(self, flag))
        require(self.context >= 2, "--context", "at least 2", self.context)
        require(self.width % (2 * self.heads) == 0, "--heads", f"such that --width {self.width} / heads is even",
                self.heads)
        require(self.key_heads is None or (self.key_heads >= 1 and self.heads % self.key_heads == 0), "--key-heads",
                f"a divisor of --heads {self.heads}", self.key_heads)
        for flag in ("dropout", "momentum", "label_smoothing"):
            require(0 <= getattr(self, flag) < 1, f"--{flag.replace('_', '-')}", "in [0, 1)", getattr(self, flag))
        for flag in ("matrix_learning_rate", "embedding_learning_rate", "head_learning_rate", "vector_learning_rate",
                     "z_loss", "temperature"):
            require(0 <= getattr(self, flag) < math.inf, f"--{flag.replace('_', '-')}", "0 or more, and finite",
                    getattr(self, flag))
        require(self.warmup >= 0, "--warmup", "0 or more", self.warmup)
        require(0 <= self.decay <= 1, "--decay", "in [0, 1]", self.decay)
        require(self.implementation in attention.IMPLEMENTATIONS, "--implementation",
                f"one of {', '.join(attention.IMPLEMENTATIONS)}", self.implementation)
        require(self.dtype in DTYPES, "--dtype", " or ".join(DTYPES), self.dtype)
        require(0 < self.top_p <= 1, "--top-p", "in (0, 1]", self.top_p)
        require(self.prompt != "", "--prompt", "at least one character", repr(self.prompt))
        require_axes(self, "model")
        require_divisible(self, "--batch-size", self.batch_size)
        require_divisible(self, "--heads", self.heads, "model")
        require_divisible(self, "--key-heads", self.key_heads or self.heads, "model")


PRESETS = {
    "quick": {},
    "full": {"steps": 2000, "layers": 4, "width": 128, "heads": 4, "seeds": 3},
    "gpu": {"steps": 5000, "batch_size": 64, "context": 256, "layers": 6, "width": 384, "heads": 6, "dropout": 0.2,
            "seeds": 3, "dtype": "bfloat16"},
}

REFERENCE = {
    ("characters", 2000, 12, 64): {"val_loss": Reference(1.88, "nanoGPT, as many steps and tokens")},
    ("characters", 5000, 64, 256): {"val_loss": Reference(1.4697, "nanoGPT; best published on its recipe: 1.4603")},
}  # of tinyshakespeare, by unit, steps, batch size and context


def run(config: Config = Config()) -> Result:
    """Learn from a text, be judged on its unseen part, show where attention looks, and write."""
    task = read(config)
    prompt = task.opening if config.prompt is None else config.prompt
    texts.encode(task.alphabet, prompt)  # an unknown character is refused before anything is learned
    model, budget = network(config, task.alphabet), (config.unit, config.steps, config.batch_size, config.context)
    with start(NAME, config, task.fingerprint) as work:
        [learn] = stages(config, task, work.mesh)
        params = train(work, learn).state.params
        judged = begin(work, "judge", partial(report.judge, model), params, task.validation)
        first = jax.tree.map(lambda leaf: leaf[0], params)
        writer = Writer(model, first, task.alphabet, config.context)
        written = writer.write(prompt, config.sample_tokens, temperature=config.temperature, top_p=config.top_p,
                               seed=config.seed)
        return finish(
            work,
            metrics=report.metrics(judged, config.unit),
            reference=REFERENCE.get(budget, {}) if config.dataset == "tinyshakespeare" else {},
            drawn={"learning": figures.learning(metrics.read(work.directory, "learn"), judged, config.unit),
                   "attention": figures.attention_maps(writer, prompt[-32:]),
                   "jacobian": figures.softmax_jacobian(writer, prompt[-config.context:])},
            learned={"params": first, "alphabet": code_points(task.alphabet)},
            model=writer,
            sample=f"{sum(leaf.size for leaf in jax.tree.leaves(first)):,} parameters. After {prompt!r} it writes:\n\n"
                   f"{written}\n",
        )


def read(config: Config) -> problem.Problem:
    """The text that the flags name."""
    return problem.read(config.dataset, config.data_dir, config.unit, config.context, config.batch_size)


def stages(config: Config, task: problem.Problem, mesh: Mesh | None) -> tuple[Stage, ...]:
    """How seeds learn: Muon and Adam on the cross-entropy of blocks of the text."""
    model = network(config, task.alphabet, mesh)
    optimizer = attention.muon_and_adam(**schedules(config), beta=config.momentum)
    loss = partial(attention.next_token_cross_entropy, apply_fn=model.apply, label_smoothing=config.label_smoothing,
                   z_loss=config.z_loss)
    take = step_of(loss, optimizer, lambda key, batch: batch)
    sample = partial(draw, config)
    if mesh is not None:
        sample = sharding.constrain_batch(mesh, sample)

    def initial(key):
        return init_state(model.init(key, jnp.zeros((1, 1), jnp.int32)), optimizer, jax.random.fold_in(key, 1))

    def step(state, tokens):
        return take(state, sample(state.key, state.step, tokens))

    return (Stage("learn", jax.vmap(initial), (seed_keys(config),), step, (task.train,), num_steps=config.steps,
                  chunk_steps=max(1, config.steps // 100), labels=seed_labels(config), runs="map-on-cpu",
                  state_rules=rules(mesh)),)


def revive(config: Config, learned: dict[str, Any]) -> Writer:
    """The writer of a finished run, from what it learned."""
    points = np.asarray(learned["alphabet"]).tolist()
    alphabet = texts.BYTES if points == NO_CHARACTERS else Alphabet("".join(map(chr, points)))
    return Writer(network(config, alphabet), learned["params"], alphabet, config.context)


def rules(mesh: Mesh | None) -> Rules:
    """Fully sharded: `model` divides heads and the MLP's width, `data` all that is left of what a step remembers."""
    if mesh is None:
        return ()
    if "model" not in mesh.shape:
        return (("", sharding.longest_axes("data", skip=1)),)
    return ((r"params.*'(query|key|value|up)'", sharding.where_it_fits(None, "data", "model")),
            (r"params.*'(output|down)'", sharding.where_it_fits(None, "model", "data")),
            ("", sharding.longest_axes("data", "model", skip=1)))


def code_points(alphabet: Alphabet) -> np.ndarray:
    """An alphabet as an array, to be kept with the parameters."""
    return np.array(NO_CHARACTERS if alphabet.characters is None else [ord(one) for one in alphabet.characters])


def network(config: Config, alphabet: Alphabet, mesh: Mesh | None = None) -> attention.Transformer:
    """The model that the flags describe, the rows of its residual stream divided over the mesh."""
    rows = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))
    return attention.Transformer(
        num_tokens=alphabet.size, num_layers=config.layers, width=config.width, num_heads=config.heads,
        num_key_heads=config.key_heads, implementation=config.implementation,
        dtype=DTYPES[config.dtype],
        constrain=(lambda h: h) if rows is None else partial(jax.lax.with_sharding_constraint, shardings=rows))


def draw(config: Config, key: jax.Array, step: jax.Array, tokens: jax.Array) -> attention.Tokens:
    """The batch of a step, with what dropout leaves out of it."""
    batch = attention.draw_blocks(key, step, tokens, context=config.context, batch_size=config.batch_size)
    return batch._replace(dropout=attention.draw_dropout(
        jax.random.fold_in(jax.random.split(key)[1], step), rate=config.dropout, batch_size=config.batch_size,
        num_layers=config.layers, context=config.context, width=config.width))


def schedules(config: Config) -> dict[str, optax.Schedule]:
    """Learning rates by kind of parameter: up in `warmup` steps, down over the last `decay`."""
    falling = max(1, round(config.decay * config.steps))
    up = optax.linear_schedule(1 / (config.warmup + 1), 1, config.warmup)
    down = optax.linear_schedule(1, 0, falling, transition_begin=config.steps - falling)
    rates = {"matrices": config.matrix_learning_rate, "embedding": config.embedding_learning_rate,
             "head": config.head_learning_rate, "vectors": config.vector_learning_rate}
    return {kind: lambda step, rate=rate: rate * jnp.minimum(up(step), down(step)) for kind, rate in rates.items()}
