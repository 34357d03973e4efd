"""PyTorch's half of the benchmark of attention, for an interpreter that has it."""

# pyright: reportMissingImports=false
import os
import time

import numpy as np
import torch
from torch.nn import functional as F

from experiments.benchmarks.side import serve


class Block(torch.nn.Module):
    """Attention and an MLP, each of the normed input mixed with the one before, added to the residual stream."""

    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.shift_attention, self.shift_mlp = (torch.nn.Parameter(torch.zeros(width)) for _ in range(2))
        self.query, self.key, self.value = (_linear(width, width) for _ in range(3))
        self.output = _linear(width, width, deviation=0)
        self.up = _linear(width, 4 * width)
        self.down = _linear(4 * width, width, deviation=0)

    def forward(self, h, turn):
        """The residual stream (B, T, D); turn: cosines and sines, (T, H / 2) each."""
        x = _mixed(_rms_norm(h), self.shift_attention)
        q, k, v = (layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                   for layer in (self.query, self.key, self.value))
        q, k = _rotate(_rms_norm(q), *turn), _rotate(_rms_norm(k), *turn)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.output(out.transpose(1, 2).flatten(2))
        x = _mixed(_rms_norm(h), self.shift_mlp)
        return h + self.down(F.relu(self.up(x)).square())


class Transformer(torch.nn.Module):
    """The same model as sandbox.attention's, its parameters under the same names."""

    def __init__(self, num_tokens, num_layers, width, num_heads, context):
        super().__init__()
        self.embedding = torch.nn.Embedding(num_tokens, width)
        self.blocks = torch.nn.ModuleList(Block(width, num_heads) for _ in range(num_layers))
        self.head = _linear(width, num_tokens, deviation=0)
        size = width // num_heads
        frequency = 10_000.0 ** (-torch.arange(size // 2, dtype=torch.float64) * 2 / size)
        angle = torch.arange(context)[:, None] * frequency
        for name, table in (("cos", angle.cos()), ("sin", angle.sin())):
            self.register_buffer(name, table.to(torch.get_default_dtype()))

    def forward(self, tokens):
        """Logits (B, T, V) of tokens (B, T)."""
        h = _rms_norm(self.embedding(tokens))
        for block in self.blocks:
            h = block(h, (self.cos, self.sin))
        return self.head(_rms_norm(h))


def oracle(file, *, sizes):
    """With the parameters of the file, in its precision: how far are logits, loss and gradients from the file's?

    Of each, the largest difference over the largest value; of gradients, the worst parameter's.
    """
    torch.set_default_dtype(torch.float64)
    inputs, targets = (torch.from_numpy(file[name]) for name in ("inputs", "targets"))
    model = Transformer(**sizes, context=inputs.shape[1])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_as_named_here(file, "params", name))
    logits = model(inputs)
    loss = _cross_entropy(logits, targets)
    loss.backward()
    gradients = [_apart(parameter.grad, _as_named_here(file, "gradients", name))
                 for name, parameter in model.named_parameters()]
    return {"logits": _apart(logits, torch.from_numpy(file["logits"])),
            "loss": _apart(loss, torch.from_numpy(file["loss"])), "gradients": max(gradients)}


def train(file, *, sizes, context, batch_size, rates, chunk_steps, chunks, compiling):
    """Seconds a step of every chunk of steps but the first, sampling included; all cores."""
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    model = Transformer(**sizes, context=context)
    optimizers = _muon_and_adam(model, **rates)
    tokens = torch.from_numpy(file["tokens"].astype(np.int64))
    offsets = torch.arange(context + 1)

    def loss_of(block):
        return _cross_entropy(model(block[:, :-1]), block[:, 1:])

    def update():
        for optimizer in optimizers:
            optimizer.step()

    if compiling:
        loss_of, update = torch.compile(loss_of), torch.compile(update)

    def step():
        start = torch.randint(len(tokens) - context, (batch_size, 1))
        loss = loss_of(tokens[start + offsets])
        loss.backward()
        update()
        model.zero_grad(set_to_none=False)
        return loss.detach()

    seconds, loss = [], 0.0
    for _ in range(chunks + 1):
        clock = time.perf_counter()
        loss = float(torch.stack([step() for _ in range(chunk_steps)]).mean())
        seconds.append((time.perf_counter() - clock) / chunk_steps)
    return {"compile_seconds": chunk_steps * (seconds[0] - min(seconds)), "seconds": seconds[1:],
            "loss": loss, "parameters": sum(one.numel() for one in model.parameters())}


def _muon_and_adam(model, matrices, embedding, head, vectors):
    """PyTorch's own Muon for the matrices of the blocks, its fused Adam for the rest."""
    blocks = {ndim: [one for one in model.blocks.parameters() if one.ndim == ndim] for ndim in (1, 2)}
    groups = (([model.embedding.weight], embedding), ([model.head.weight], head), (blocks[1], vectors))
    return (torch.optim.Muon(blocks[2], lr=matrices, weight_decay=0.0),
            torch.optim.Adam([{"params": group, "lr": rate} for group, rate in groups], betas=(0.9, 0.99), fused=True))


def _linear(inputs, outputs, deviation=None):
    layer = torch.nn.Linear(inputs, outputs, bias=False)
    torch.nn.init.normal_(layer.weight, std=inputs ** -0.5 if deviation is None else deviation)
    return layer


def _rms_norm(x):
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


def _mixed(x, weight):
    return x + weight * F.pad(x, (0, 0, 1, -1))


def _rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def _cross_entropy(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _apart(here, there):
    return float((here.detach() - there).abs().max() / there.abs().max())


def _as_named_here(file, kind, name):
    """An array of the file, which has flax's names and kernels of (inputs, outputs)."""
    names = name.replace("blocks.", "blocks_").replace("embedding.weight", "embedding.embedding")
    array = torch.from_numpy(file[f"{kind}.{names.replace('weight', 'kernel')}"])
    return array.T if names.endswith("weight") else array


if __name__ == "__main__":
    serve({"oracle": oracle, "train": train})
