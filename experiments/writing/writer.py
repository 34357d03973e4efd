"""What the experiment learned, in hand: go on from a text, score one, see where it looks."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import Alphabet, texts
from experiments.runner.errors import UserError
from sandbox.attention import Pairs, Tokens, Transformer, attention_weights, generate, next_token_cross_entropy


@dataclasses.dataclass(frozen=True)
class Writer:
    """model, with params learned for it, over an alphabet; context: how many tokens it was trained to see."""

    model: Transformer
    params: Any
    alphabet: Alphabet
    context: int

    def write(self, prompt: str, num_tokens: int = 200, *, temperature: float = 1.0, top_p: float = 1.0,
              seed: int = 0) -> str:
        """What follows a prompt, without the prompt itself.

        Args:
          prompt: at least one character. num_tokens: of the answer. temperature, top_p: see `draw_token`.
        Raises:
          DataError: a character that the text has not. UserError: an empty prompt.
          ValueError: temperature, top_p or num_tokens out of bounds.
        """
        tokens = self._encode(prompt, "a prompt")
        drawn = _write(jax.random.key(seed), self.model, self.params, tokens[None], num_tokens, self.context,
                       temperature, top_p)
        return texts.decode(self.alphabet, np.asarray(drawn[0]))

    def nats(self, text: str) -> np.ndarray:
        """−log p of each token of a text but the first, from those before it: (tokens − 1,)."""
        tokens = self._encode(text, "a text")[None]
        if tokens.shape[1] == 1:
            return np.zeros(0, np.float32)
        batch = Tokens(tokens[:, :-1], tokens[:, 1:], jnp.ones((1, tokens.shape[1] - 1)))
        return np.asarray(_aux(self.model, self.params, batch).nats[0])

    def attention_maps(self, text: str) -> np.ndarray:
        """Which token looks at which: (layers, heads, tokens, tokens), each row a distribution."""
        return np.asarray(_maps(self.model, self.params, self._encode(text, "a text")[None]))

    def distributions(self, text: str) -> np.ndarray:
        """p of what follows each token of a text, (tokens, V)."""
        return np.asarray(_distributions(self.model, self.params, self._encode(text, "a text")[None])[0])

    def _encode(self, text: str, what: str) -> jax.Array:
        if not text:
            raise UserError(f"{what} needs at least one character")
        return jnp.asarray(texts.encode(self.alphabet, text))


def _maps_of(model: Transformer, params: Any, tokens: jax.Array) -> jax.Array:
    _, kept = model.apply(params, tokens, mutable=["intermediates"])
    layers = [kept["intermediates"][f"blocks_{layer}"]["queries_and_keys"][0] for layer in range(model.num_layers)]
    return jnp.stack([attention_weights(q, k, Pairs(True, model.window))[0] for q, k in layers])


_write = jax.jit(lambda key, model, params, prompt, num_tokens, capacity, temperature, top_p: generate(
    key, model, params, prompt, num_tokens=num_tokens, capacity=capacity, temperature=temperature, top_p=top_p),
    static_argnums=(1, 4, 5, 6, 7))
_aux = jax.jit(lambda model, params, batch: next_token_cross_entropy(params, batch, apply_fn=model.apply)[1],
               static_argnums=0)
_distributions = jax.jit(lambda model, params, tokens: jax.nn.softmax(model.apply(params, tokens)), static_argnums=0)
_maps = jax.jit(_maps_of, static_argnums=0)
