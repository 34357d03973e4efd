"""PyTorch's half of the benchmark of convolution, for an interpreter that has it."""

# pyright: reportMissingImports=false
import os
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from experiments.benchmarks.side import serve


class Layer(torch.nn.Module):
    """A convolution, a ∘ x + b of each channel, relu."""

    def __init__(self, inputs, outputs, kernel_size, strides):
        super().__init__()
        self.strides = strides
        self.kernel = torch.nn.Parameter(torch.empty(outputs, inputs, kernel_size, kernel_size))
        self.scale, self.bias = (torch.nn.Parameter(torch.empty(outputs, 1, 1)) for _ in range(2))

    def forward(self, x):
        """(N, C, H, W)."""
        y = _conv(x, self.kernel, strides=(self.strides,) * 2)
        return F.relu(torch.addcmul(self.bias, y, self.scale))


class SmallNetwork(torch.nn.Module):
    """The same model as sandbox.convolution's, its layers under the same names."""

    def __init__(self, num_classes, widths, depths, stem_size, stem_strides):
        super().__init__()
        self.layers = torch.nn.ModuleDict({"stem": Layer(1, widths[0], stem_size, stem_strides)})
        for stage, (width, depth) in enumerate(zip(widths, depths)):
            if stage:
                self.layers[f"halve_{stage}"] = Layer(widths[stage - 1], width, 3, 2)
            for number in range(depth):
                self.layers[f"conv_{stage}_{number}"] = Layer(width, width, 3, 1)
        self.head = torch.nn.Linear(widths[-1], num_classes)

    def forward(self, images):
        """Logits (N, K) of images (N, 1, H, W)."""
        x = images
        for layer in self.layers.values():
            x = layer(x)
        return self.head(x.mean((2, 3)))


def convolutions(file, *, cases):
    """How far are y, dx and dw from the file's, in the worst of the cases? And those of pooling?"""
    apart, of_pooling = {"y": 0.0, "dx": 0.0, "dw": 0.0}, []
    pools = {"average": partial(F.avg_pool2d, count_include_pad=False), "max": F.max_pool2d}
    for number, case in enumerate(cases):
        arrays = {name: torch.from_numpy(file[f"{number}.{name}"]) for name in ("x", "w", "dy", *apart)}
        x, w = (arrays[name].requires_grad_() for name in ("x", "w"))
        y = _conv(x.movedim(-1, 1), w.movedim((-1, -2), (0, 1)), **case["how"]).movedim(1, -1)
        y.backward(arrays["dy"])
        for name, here in (("y", y), ("dx", x.grad), ("dw", w.grad)):
            apart[name] = max(apart[name], _apart(here, arrays[name]))
    for kind, pool in pools.items():
        arrays = {name: torch.from_numpy(file[f"{kind}.{name}"]) for name in ("x", "dy", "y", "dx")}
        x = arrays["x"].requires_grad_()
        y = pool(x.movedim(-1, 1), 3, stride=2, padding=1).movedim(1, -1)
        y.backward(arrays["dy"])
        of_pooling += [_apart(y, arrays["y"]), _apart(x.grad, arrays["dx"])]
    return apart | {"pooling": max(of_pooling)}


def oracle(file, *, sizes, label_smoothing):
    """With the parameters of the file, in its precision: how far are logits, loss and gradients from the file's?

    Of each, the largest difference over the largest value; of gradients, the worst parameter's.
    """
    model = _model(file, sizes, torch.float64)
    rows = len(file["logits"])
    logits = model(torch.from_numpy(file["images"][:rows]).movedim(-1, 1))
    loss = F.cross_entropy(logits, torch.from_numpy(file["labels"][:rows]), label_smoothing=label_smoothing)
    loss.backward()
    gradients = [_apart(parameter.grad, _as_named_here(file, "gradients", name).view_as(parameter))
                 for name, parameter in model.named_parameters()]
    return {"logits": _apart(logits, torch.from_numpy(file["logits"])),
            "loss": _apart(loss, torch.from_numpy(file["loss"])), "gradients": max(gradients)}


def train(file, *, sizes, batch_size, label_smoothing, learning_rate, momentum, chunk_steps, chunks, compiling,
          channels_last):
    """Seconds a step of every chunk but the first, from the parameters of the file, batches in the file's order; all
    cores."""
    torch.set_num_threads(os.cpu_count() or 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = _model(file, sizes, torch.float32).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum, fused=True)
    images = torch.from_numpy(file["images"].astype(np.float32)).movedim(-1, 1).contiguous(memory_format=layout)
    batches = list(zip(images.split(batch_size), torch.from_numpy(file["labels"]).split(batch_size)))

    def loss_of(images, labels):
        return F.cross_entropy(model(images), labels, label_smoothing=label_smoothing)

    update = optimizer.step
    if compiling:
        loss_of, update = torch.compile(loss_of), torch.compile(update)

    def step(number):
        loss = loss_of(*batches[number % len(batches)])
        loss.backward()
        update()
        optimizer.zero_grad(set_to_none=not compiling)
        return loss.detach()

    seconds, loss = [], 0.0
    for chunk in range(chunks + 1):
        clock = time.perf_counter()
        losses = [step(chunk * chunk_steps + number) for number in range(chunk_steps)]
        loss = float(torch.stack(losses).mean())
        seconds.append((time.perf_counter() - clock) / chunk_steps)
    return {"compile_seconds": chunk_steps * (seconds[0] - min(seconds)), "seconds": seconds[1:],
            "loss": loss, "parameters": sum(one.numel() for one in model.parameters())}


def _conv(x, w, *, strides, padding: Any = "SAME", dilation=None, groups=1):
    """F.conv of x (N, I, *size) and w (O, I / groups, *kernel_size), padded as here: the odd zero behind."""
    dilation = dilation or (1,) * len(strides)
    if padding == "SAME":
        pairs = [_same(*axis) for axis in zip(x.shape[2:], w.shape[2:], strides, dilation)]
    else:
        pairs = [(0, 0)] * len(strides) if padding == "VALID" else padding
    before = tuple(lo for lo, _ in pairs)
    if any(lo < 0 or lo != hi for lo, hi in pairs):  # which F.conv cannot do by itself
        x = F.pad(x, [side for pair in reversed(pairs) for side in pair])
        before = (0,) * len(strides)
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(strides)]
    return function(x, w, None, tuple(strides), before, tuple(dilation), groups)


def _same(size, taps, stride, dilation):
    missing = max(0, (-(-size // stride) - 1) * stride + dilation * (taps - 1) + 1 - size)
    return missing // 2, missing - missing // 2


def _model(file, sizes, dtype):
    """The network with the parameters of the file."""
    model = SmallNetwork(**sizes).to(dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_as_named_here(file, "params", name).view_as(parameter))
    return model


def _apart(here, there):
    return float((here.detach() - there).abs().max() / there.abs().max())


def _as_named_here(file, kind, name):
    """An array of the file, which has flax's names, and output channels last in its kernels."""
    name = name.removeprefix("layers.").replace("head.weight", "head.kernel")
    if not name.startswith("head"):
        name = name.replace(".scale", "_affine.scale").replace(".bias", "_affine.bias")
    array = torch.from_numpy(file[f"{kind}.{name}"])
    return array.movedim((-1, -2), (0, 1)).contiguous() if array.ndim > 1 else array


if __name__ == "__main__":
    serve({"convolutions": convolutions, "oracle": oracle, "train": train})
