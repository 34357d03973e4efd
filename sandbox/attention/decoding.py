"""One token after another: a cache of keys and values, so that each token is computed once."""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from sandbox.attention.networks import Past, Transformer
from sandbox.attention.sampling import check_choice, draw_token

__all__ = ["Cache", "extend", "generate", "init_cache"]


class Cache(NamedTuple):
    """What a transformer remembers of the last C tokens, in a ring: position p stands at p mod C.

    keys, values: (L, B, C, K, H). positions: (C,) int32, −1 where nothing stands yet. inputs: (L, 2, B, D), of each
    block's two branches at the last token. length: () int32, tokens so far.
    """

    keys: jax.Array
    values: jax.Array
    positions: jax.Array
    inputs: jax.Array
    length: jax.Array


def init_cache(model: Transformer, *, batch_size: int, capacity: int, dtype: Any = None) -> Cache:
    """A cache before the first token.

    Args:
      model: whose cache. batch_size: B. capacity: C >= 1, how many tokens are seen at once, the newest included.
      dtype: what the model computes in; without it, its own, and float32 where that is None.
    Returns:
      Cache.
    Raises:
      ValueError: capacity below 1.

    >>> init_cache(Transformer(num_tokens=5, width=8, num_heads=2), batch_size=1, capacity=3).keys.shape
    (4, 1, 3, 2, 4)
    """
    if capacity < 1:
        raise ValueError(f"capacity must be at least 1, got {capacity}")
    shape = (model.num_layers, batch_size, capacity, model.key_heads, model.width // model.num_heads)
    dtype = dtype or model.dtype or jnp.float32
    return Cache(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype), jnp.full(capacity, -1, jnp.int32),
                 jnp.zeros((model.num_layers, 2, batch_size, model.width), dtype), jnp.zeros((), jnp.int32))


def extend(model: Transformer, params: Any, tokens: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
    """Logits after one more token; they are the full pass's, with the last C tokens in attention's sight.

    Args:
      model, params: a Transformer. tokens: (B,) in [0, V). cache: Cache of the tokens before.
    Returns:
      Logits (B, V), and the Cache with these tokens.

    >>> model = Transformer(num_tokens=5, num_layers=1, width=8, num_heads=2)
    >>> params = model.init(jax.random.key(0), jnp.zeros((1, 1), int))
    >>> logits, cache = extend(model, params, jnp.array([2]), init_cache(model, batch_size=1, capacity=3))
    >>> logits.shape, int(cache.length)
    ((1, 5), 1)
    """
    pasts = [Past(keys, values, cache.positions, inputs)
             for keys, values, inputs in zip(cache.keys, cache.values, cache.inputs)]
    logits, news = cast(Any, model.apply(params, tokens, cache.length, pasts, method="extend"))
    at = cache.length % cache.positions.shape[0]
    return logits, Cache(
        jnp.stack([past.keys.at[:, at].set(new.keys[:, 0]) for past, new in zip(pasts, news)]),
        jnp.stack([past.values.at[:, at].set(new.values[:, 0]) for past, new in zip(pasts, news)]),
        cache.positions.at[at].set(cache.length),
        jnp.stack([new.inputs for new in news]),
        cache.length + 1)


def generate(key: jax.Array, model: Transformer, params: Any, prompt: jax.Array, *, num_tokens: int, capacity: int,
             temperature: float = 1.0, top_p: float = 1.0) -> jax.Array:
    """Go on from a prompt: each token drawn from what the model says after all before it.

    Args:
      key: PRNG key. model, params: a Transformer. prompt: (B, P) integer in [0, V), P >= 1.
      num_tokens: how many more, at least 1. capacity: of the cache; best the context that was trained.
      temperature, top_p: see `draw_token`.
    Returns:
      (B, num_tokens) int32.
    Raises:
      ValueError: an empty prompt, num_tokens or capacity below 1, temperature or top_p out of bounds.

    >>> model = Transformer(num_tokens=5, num_layers=1, width=8, num_heads=2)
    >>> params = model.init(jax.random.key(0), jnp.zeros((1, 1), int))
    >>> generate(jax.random.key(1), model, params, jnp.array([[0, 1]]), num_tokens=4, capacity=3).shape
    (1, 4)
    """
    if prompt.ndim != 2 or prompt.shape[1] < 1:
        raise ValueError(f"prompt must be (rows, tokens) with at least one token, got the shape {prompt.shape}")
    if num_tokens < 1:
        raise ValueError(f"num_tokens must be at least 1, got {num_tokens}")
    check_choice(temperature, top_p)
    batch_size, given = prompt.shape
    dtype = jax.tree.leaves(params)[0].dtype if model.dtype is None else model.dtype
    cache = init_cache(model, batch_size=batch_size, capacity=capacity, dtype=dtype)

    def step(carry, inputs):
        token, cache = carry
        key, number = inputs
        logits, cache = extend(model, params, token, cache)
        drawn = draw_token(key, logits, temperature=temperature, top_p=top_p)
        forced = prompt[:, jnp.minimum(number + 1, given - 1)].astype(jnp.int32)
        token = jnp.where(number + 1 < given, forced, drawn)
        return (token, cache), token

    steps = given + num_tokens - 1
    _, tokens = jax.lax.scan(step, (prompt[:, 0].astype(jnp.int32), cache),
                             (jax.random.split(key, steps), jnp.arange(steps)))
    return tokens[given - 1:].T
