"""Arrays on the devices of all processes, and back in the hands of each."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from experiments.runner import processes


def place(tree: Any, shardings: Any) -> Any:
    """The same arrays, which every process has whole, where they are to be: each process places its own part.

    >>> place(np.ones(2), jax.sharding.SingleDeviceSharding(jax.devices()[0]))
    Array([1., 1.], dtype=float32)
    """
    if processes.count() == 1:
        return jax.device_put(tree, shardings)
    return jax.tree.map(_place, tree, shardings)


def readable() -> jax.sharding.Sharding | None:
    """Where outputs of a program go that every process reads; None: wherever it likes, where one process has it all."""
    return None if processes.count() == 1 else _copies()


def everywhere(tree: Any) -> Any:
    """Copies for every device of every process, of what is on this process alone; the rest stays."""
    if processes.count() == 1:
        return tree
    copies = _copies()
    return jax.tree.map(lambda leaf: _place(leaf, copies) if _is_here(leaf) else leaf, tree)


def bring_home(tree: Any) -> Any:
    """The whole of every array in this process's own memory: what spans processes can be computed with, not read.

    One array after another, so that a device has room for the largest of them, and needs none for all."""
    copy = jax.jit(lambda leaf: leaf, out_shardings=_copies()) if processes.count() > 1 else None
    return jax.tree.map(lambda leaf: leaf if copy is None or _is_here(leaf) else _on_host(copy(leaf)), tree)


def _copies() -> NamedSharding:
    return NamedSharding(jax.sharding.Mesh(jax.devices(), "all"), PartitionSpec())


def _place(leaf: Any, sharding: jax.sharding.Sharding) -> jax.Array:
    values = leaf if _is_key(leaf) else np.asarray(leaf)
    return jax.make_array_from_callback(values.shape, sharding, lambda part: values[part])


def _on_host(leaf: jax.Array) -> Any:
    """The same array, of NumPy: bound to no device, it can be used with arrays of any. A key has to be of jax."""
    here = leaf.addressable_data(0)
    if _is_key(here):
        words = jnp.asarray(np.asarray(jax.random.key_data(here)))
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(here))
    return np.asarray(here)


def _is_here(leaf: Any) -> bool:
    return not isinstance(leaf, jax.Array) or leaf.is_fully_addressable


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
