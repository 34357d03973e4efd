"""Pictures of a language model: how it learned, where it looks, and softmax's Jacobian where it hesitates."""

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.data import texts
from experiments.runner.figures import style
from experiments.writing.report import Judged
from experiments.writing.writer import Writer
from sandbox.attention import derivatives

LIKELIEST = 12  # tokens of a Jacobian's picture


def learning(lines: list[dict], judged: Judged, unit: str) -> Figure:
    """Training loss of every seed with what it came to on validation, and the loss by what was seen before.

    Args:
      lines: of metrics.jsonl. judged: of as many seeds. unit: of tokens.
    """
    by_position = np.asarray(judged.by_position)
    with plt.rc_context(style()):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
        for k, run in enumerate(dict.fromkeys(line["run"] for line in lines)):
            own = [line for line in lines if line["run"] == run]
            left.plot([line["step"] for line in own], [line["loss"] for line in own], linewidth=0.9, color=f"C{k}",
                      label=run)
            left.plot(own[-1]["step"], judged.val_loss[k], "o", color=f"C{k}", markersize=5)
            right.plot(np.arange(1, by_position.shape[1] + 1), by_position[k], color=f"C{k}", linewidth=0.9)
        left.set(title="Loss", xlabel="step", ylabel=f"nats per {unit.removesuffix('s')}")
        left.set_ylim(top=min(left.get_ylim()[1], lines[0]["loss"]))
        left.plot([], [], "o", color="gray", markersize=5, label="validation")
        left.legend()
        right.set(title="Loss by how much was seen before", xlabel=f"{unit} seen",
                  ylabel=f"nats per {unit.removesuffix('s')}, validation")
        right.set_xscale("log", base=2)
        right.xaxis.set_major_formatter("{x:g}")
        return figure


def attention_maps(writer: Writer, sentence: str) -> Figure:
    """What each token of a sentence looks at: a row of pictures a layer, a column a head."""
    maps = writer.attention_maps(sentence)
    marks = [_shown(texts.decode(writer.alphabet, np.array([token])))
             for token in texts.encode(writer.alphabet, sentence)]
    layers, heads, length, _ = maps.shape
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, axes = plt.subplots(layers, heads, figsize=(2.6 * heads, 2.7 * layers), squeeze=False)
        for layer in range(layers):
            for head in range(heads):
                one = axes[layer, head]
                one.imshow(np.sqrt(maps[layer, head]), cmap="magma", vmin=0, vmax=1, interpolation="nearest")
                one.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=8, fontweight="normal")
                one.set_xticks(range(length), marks, fontsize=5)
                one.set_yticks(range(length), marks, fontsize=5)
                one.tick_params(length=0, pad=1)
        figure.suptitle("Which token (row) looks at which (column); brightness is the root of the weight", fontsize=9)
        return figure


def softmax_jacobian(writer: Writer, sentence: str) -> Figure:
    """p = softmax(z) of the next token where a sentence leaves most doubt, and diag(p) − p pᵀ, of the likeliest."""
    every = writer.distributions(sentence)
    doubt = -np.sum(every * np.log(np.maximum(every, 1e-30)), axis=1)
    place = int(np.argmax(doubt[len(doubt) // 2:])) + len(doubt) // 2  # its first half has seen too little to know
    p = every[place]
    before = texts.decode(writer.alphabet, texts.encode(writer.alphabet, sentence)[:place + 1])
    jacobian = np.asarray(derivatives.softmax_jacobian(jnp.log(jnp.asarray(p))))
    likeliest = np.argsort(-p)[:LIKELIEST]
    marks = [_shown(texts.decode(writer.alphabet, np.array([token]))) for token in likeliest]
    with plt.rc_context({**style(), "axes.grid": False}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), width_ratios=(1, 1.15))
        left.bar(range(len(marks)), p[likeliest], color="C0")
        left.set_xticks(range(len(marks)), marks)
        left.set(title="p = softmax(z), the likeliest", xlabel="after " + _shown_all(repr(before[-24:])),
                 ylabel="probability")
        shown = jacobian[np.ix_(likeliest, likeliest)]
        bound = np.abs(shown).max()
        image = right.imshow(shown, cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest")
        right.set_xticks(range(len(marks)), marks)
        right.set_yticks(range(len(marks)), marks)
        right.xaxis.set_major_formatter("{x:g}")
        right.set(title="∂p/∂z = diag(p) − p pᵀ", xlabel="logit", ylabel="probability")
        figure.colorbar(image, ax=right, shrink=0.85)
        return figure


def _shown(character: str) -> str:
    """A character as a mark on an axis."""
    mark = {" ": "␣", "\n": "⏎", "\t": "⇥"}.get(character, character)
    return _shown_all(mark if mark.isprintable() else "·")


def _shown_all(text: str) -> str:
    """A text with its dollars escaped: matplotlib would read formulas between two of them."""
    return text.replace("$", r"\$")
