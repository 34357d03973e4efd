"""Muon for the matrices of the blocks, Adam for what is no such matrix: embedding, head, vectors."""

from typing import Any

import jax
import optax

from sandbox.muon import muon

__all__ = ["kind_of_parameter", "muon_and_adam"]


def muon_and_adam(*, matrices: optax.ScalarOrSchedule, embedding: optax.ScalarOrSchedule,
                  head: optax.ScalarOrSchedule, vectors: optax.ScalarOrSchedule, beta: float = 0.95, b1: float = 0.9,
                  b2: float = 0.99) -> optax.GradientTransformation:
    """One optimiser of four learning rates; see `sandbox.muon.muon`.

    Args:
      matrices, embedding, head, vectors: learning rates, or schedules of them.
      beta: Muon's momentum. b1, b2: Adam's.
    Returns:
      optax transformation, for a Transformer's parameters.

    >>> optimizer = muon_and_adam(matrices=0.02, embedding=0.02, head=0.005, vectors=0.01)
    >>> params = {"head": {"kernel": jnp.ones((2, 2))}, "blocks_0": {"up": {"kernel": jnp.ones((2, 2))}}}
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> np.asarray(updates["head"]["kernel"]).round(4)[0]
    array([-0.005, -0.005], dtype=float32)
    """
    return optax.partition(
        {"matrix": muon(matrices, beta=beta),
         **{kind: optax.adam(rate, b1=b1, b2=b2)
            for kind, rate in (("embedding", embedding), ("head", head), ("vector", vectors))}},
        lambda params: jax.tree_util.tree_map_with_path(kind_of_parameter, params))


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
