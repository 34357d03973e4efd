"""Muon for the kernels between the stem and the head, Adam for those two and for vectors."""

from typing import Any

import jax
import optax

from sandbox.muon import muon

__all__ = ["kernels_and_rest"]


def kernels_and_rest(*, kernels: optax.ScalarOrSchedule, rest: optax.ScalarOrSchedule, beta: float = 0.9,
                     b1: float = 0.9, b2: float = 0.99) -> optax.GradientTransformation:
    """One optimiser of two learning rates; see `sandbox.muon.muon`.

    Args:
      kernels: learning rate, or its schedule, of what has three axes or more and is not the stem, which sees pixels and
        is no map from features to features. rest: of all else.
      beta: Muon's momentum. b1, b2: Adam's.
    Returns:
      optax transformation, for the parameters of the networks of this wing.

    >>> optimizer = kernels_and_rest(kernels=0.1, rest=0.02)
    >>> params = {"stem": {"kernel": jnp.ones((1, 1, 1, 2))}, "conv": {"kernel": jnp.ones((1, 1, 1, 1))}}
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> np.asarray(updates["stem"]["kernel"]).round(4).ravel()
    array([-0.02, -0.02], dtype=float32)
    """
    def kind(path: tuple[Any, ...], leaf: jax.Array) -> str:
        of_stem = any(getattr(key, "key", None) == "stem" for key in path)
        return "kernels" if leaf.ndim >= 3 and not of_stem else "rest"

    return optax.partition({"kernels": muon(kernels, beta=beta), "rest": optax.adam(rest, b1=b1, b2=b2)},
                           lambda params: jax.tree_util.tree_map_with_path(kind, params))
