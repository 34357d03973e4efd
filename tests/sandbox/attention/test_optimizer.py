"""Muon turns the matrices of the blocks, Adam the rest; and together they learn."""

import functools

import jax
import numpy as np

from sandbox.attention import Tokens, muon_and_adam, next_token_cross_entropy
from sandbox.attention.optimizer import kind_of_parameter
from sandbox.training import chunk_of, init_state, step_of
from tests.sandbox.attention.models import PARAMS, SMALL, VOCABULARY, begun

LENGTH = 10


def kinds(params):
    leaves = jax.tree_util.tree_leaves_with_path(params["params"])
    return {jax.tree_util.keystr(path, simple=True, separator="/"): kind_of_parameter(path, leaf)
            for path, leaf in leaves}


def test_each_parameter_is_of_its_kind():
    matrices = ("down", "key", "output", "query", "up", "value")
    assert kinds(PARAMS) == {
        "embedding/embedding": "embedding", "head/kernel": "head",
        **{f"blocks_{n}/{name}/kernel": "matrix" for n in range(2) for name in matrices},
        **{f"blocks_{n}/{name}": "vector" for n in range(2) for name in ("shift_attention", "shift_mlp")}}


def test_a_first_step_is_orthogonal_in_matrices_and_of_one_size_elsewhere():
    """Muon's Newton–Schulz leaves singular values within 0.68 to 1.13 of their scale; Adam's step is ± its rate."""
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), PARAMS)
    optimizer = muon_and_adam(matrices=0.5, embedding=0.2, head=0.1, vectors=0.3)
    gradient = jax.tree.map(lambda leaf: 10 * leaf[::-1], params)
    updates = jax.jit(lambda: optimizer.update(gradient, optimizer.init(params), params)[0])()
    rates = {"embedding": 0.2, "head": 0.1, "vector": 0.3}
    for path, update in jax.tree_util.tree_leaves_with_path(updates["params"]):
        kind = kind_of_parameter(path, update)
        if kind == "matrix":
            inputs, outputs = update.shape
            singular = np.linalg.svd(update, compute_uv=False) / (0.5 * max(1, outputs / inputs) ** 0.5)
            assert singular.min() > 0.5 and singular.max() < 1.3
        else:
            np.testing.assert_allclose(np.abs(update), rates[kind], rtol=1e-3)


def test_sixty_steps_learn_a_periodic_text():
    text = np.arange(4)[:, None] + np.arange(LENGTH + 1)[None, :]
    batch = Tokens(text[:, :-1] % VOCABULARY, text[:, 1:] % VOCABULARY, np.ones((4, LENGTH), np.float32))
    optimizer = muon_and_adam(**dict.fromkeys(("matrices", "embedding", "head", "vectors"), 0.02))
    step = step_of(functools.partial(next_token_cross_entropy, apply_fn=SMALL.apply), optimizer,
                   lambda key, batch: batch)

    @jax.jit
    def train(params):
        return chunk_of(step, 60)(init_state(params, optimizer, jax.random.key(0)), batch).metrics["loss"]

    loss = train(begun())
    np.testing.assert_allclose(loss[0], np.log(VOCABULARY), rtol=1e-6)
    assert loss[-1] < 0.1
