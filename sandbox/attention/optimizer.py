"""Muon for the matrices of the blocks, Adam for what is no such matrix: embedding, head, vectors."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

__all__ = ["kind_of_parameter", "muon_and_adam", "stacked"]


def muon_and_adam(*, matrices: optax.ScalarOrSchedule, embedding: optax.ScalarOrSchedule,
                  head: optax.ScalarOrSchedule, vectors: optax.ScalarOrSchedule, beta: float = 0.95, b1: float = 0.9,
                  b2: float = 0.99) -> optax.GradientTransformation:
    """One optimiser of four learning rates.

    Muon: m ← β m + (1 − β) g;  W ← W − η √max(1, out/in) O(β m + (1 − β) g), where O(U S Vᵀ) ≈ U Vᵀ, by five steps of
    Newton–Schulz; m and g with optax's correction of their bias in the first steps.

    Args:
      matrices, embedding, head, vectors: learning rates, or schedules of them.
      beta: Muon's momentum. b1, b2: Adam's.
    Returns:
      optax transformation, for a Transformer's parameters.
    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".

    >>> optimizer = muon_and_adam(matrices=0.02, embedding=0.02, head=0.005, vectors=0.01)
    >>> params = {"head": {"kernel": jnp.ones((2, 2))}, "blocks_0": {"up": {"kernel": jnp.ones((2, 2))}}}
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> np.asarray(updates["head"]["kernel"]).round(4)[0]
    array([-0.005, -0.005], dtype=float32)
    """
    return optax.partition(
        {"matrix": stacked(optax.chain(
            optax.contrib.scale_by_muon(beta=beta, weight_dimension_numbers=_of_stacks),
            optax.stateless(lambda stacks, _: jax.tree.map(_scaled_to_shape, stacks)),
            optax.scale_by_learning_rate(matrices))),
         **{kind: optax.adam(rate, b1=b1, b2=b2)
            for kind, rate in (("embedding", embedding), ("head", head), ("vector", vectors))}},
        lambda params: jax.tree_util.tree_map_with_path(kind_of_parameter, params))


def stacked(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same optimiser on all matrices of one shape at once, as (n, rows, columns) by the name of the shape.

    Args:
      inner: an optimiser that treats the entries of a leading axis apart.
    Returns:
      optax transformation.

    >>> optimizer = stacked(optax.scale(2.0))
    >>> matrices = {"a": jnp.ones((1, 2)), "b": jnp.ones((2, 1)), "c": jnp.zeros((1, 2))}
    >>> optimizer.update(matrices, optimizer.init(matrices))[0]["a"]
    Array([[2., 2.]], dtype=float32)
    """
    def stack(tree: Any) -> dict[str, jax.Array]:
        return {name: jnp.stack(leaves) for name, leaves in _by_shape(tree).items()}

    def update(updates, state, params=None):
        new, state = inner.update(stack(updates), state, None if params is None else stack(params))
        of_shape = {name: iter(one) for name, one in cast(dict[str, jax.Array], new).items()}
        leaves, structure = jax.tree.flatten(updates)
        return structure.unflatten(next(of_shape[_shape(leaf)]) for leaf in leaves), state

    return optax.GradientTransformation(lambda params: inner.init(stack(params)), update)


def _by_shape(tree: Any) -> dict[str, list[jax.Array]]:
    """Leaves in their order, by the name of their shape."""
    found: dict[str, list[jax.Array]] = {}
    for leaf in jax.tree.leaves(tree):
        found.setdefault(_shape(leaf), []).append(leaf)
    return found


def _shape(leaf: jax.Array) -> str:
    return "x".join(map(str, leaf.shape))


def _of_stacks(stacks: Any) -> Any:
    return jax.tree.map(lambda stack: optax.contrib.MuonDimensionNumbers(1, 2), stacks)


def _scaled_to_shape(stack: jax.Array) -> jax.Array:
    """√max(1, out/in): what keeps the update of an output the same whatever the widths."""
    return stack * max(1, stack.shape[2] / stack.shape[1]) ** 0.5


def kind_of_parameter(path: tuple[Any, ...], leaf: jax.Array) -> str:
    """matrix, embedding, head or vector: what a Transformer's parameter is, by its path and shape.

    >>> kind_of_parameter((jax.tree_util.DictKey("blocks_0"),), jnp.ones(3))
    'vector'
    """
    names = [str(getattr(key, "key", key)) for key in path]
    for kind in ("embedding", "head"):
        if kind in names:
            return kind
    return "matrix" if leaf.ndim == 2 else "vector"
