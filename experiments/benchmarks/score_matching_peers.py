"""PyTorch's half of the benchmark of score matching, for an interpreter that has it."""

# pyright: reportMissingImports=false
import math
import time
from itertools import pairwise

import torch
from torch.nn import functional as F

from experiments.benchmarks.side import serve

WARMUP = 0.05  # of the steps, as the experiment has it


class PointNetwork(torch.nn.Module):
    """The same model as sandbox.score_matching's; layers have its names."""

    def __init__(self, size, width, layers):
        super().__init__()
        inputs, of_time = size * 5 + 9, 9
        self.layers = torch.nn.ModuleDict({
            "in": torch.nn.Linear(inputs, width),
            **{f"hidden_{number}": torch.nn.Linear(width + of_time, width) for number in range(layers)},
            "out": torch.nn.Linear(width, size)})
        self.hidden = [f"hidden_{number}" for number in range(layers)]

    def forward(self, x, time):
        """(N, D) of points (N, D) and times (N,)."""
        time = time[:, None]
        time = torch.cat([time, waves(2 * time, 4)], 1)
        h = self.layers["in"](torch.cat([x, waves(x, 2), time], 1))
        for name in self.hidden:
            h = h + self.layers[name](torch.cat([F.silu(h), time], 1))
        return self.layers["out"](F.silu(h))


class ImageLogits(torch.nn.Module):
    """The same model as sandbox.score_matching's; layers have its names."""

    def __init__(self, shape, num_bins, channels, width, layers, num_classes):
        super().__init__()
        self.num_bins, self.depth = num_bins, layers
        size = math.prod(shape[:2]) * channels
        linear, norm = torch.nn.Linear, torch.nn.LayerNorm
        self.layers = torch.nn.ModuleDict({
            "time": linear(12, width), "class": torch.nn.Embedding(num_classes + 1, width),
            "near": torch.nn.Conv2d(shape[-1], channels, 3, padding=1), "near_steered": linear(width, channels),
            "whole": linear(size, width),
            **{f"hidden_{number}_steered": linear(width, width) for number in range(layers)},
            **{f"norm_{number}": norm(width, eps=1e-6) for number in range(layers)},
            **{f"hidden_{number}": linear(width, width) for number in range(layers)},
            "norm_out": norm(width, eps=1e-6), "far": linear(width, size),
            "both": torch.nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
            "both_steered": linear(width, 2 * channels), "out": linear(2 * channels, shape[-1] * num_bins)})

    def forward(self, x, time, labels):
        """(N, C, H, W, K) of images (N, C, H, W), times and labels (N,)."""
        layers = self.layers
        steering = F.silu(layers["time"](waves(time[:, None], 6)) + layers["class"](labels))
        near = F.silu(layers["near"](x) + layers["near_steered"](steering)[:, :, None, None])
        pixels = near.movedim(1, -1)
        h = layers["whole"](pixels.flatten(1))
        for number in range(self.depth):
            steered = layers[f"norm_{number}"](h) + layers[f"hidden_{number}_steered"](steering)
            h = h + layers[f"hidden_{number}"](F.silu(steered))
        far = layers["far"](F.silu(layers["norm_out"](h))).view(pixels.shape).movedim(-1, 1)
        both = layers["both"](torch.cat([near, far], 1)) + layers["both_steered"](steering)[:, :, None, None]
        logits = layers["out"](F.silu(both).movedim(1, -1))
        return logits.unflatten(-1, (x.shape[1], self.num_bins)).movedim(3, 1)


def waves(x, octaves):
    """(N, 2 octaves D) of (N, D)."""
    angles = x[:, None] * 2.0 ** torch.arange(octaves, dtype=x.dtype)[:, None]
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)


def preconditioned(network, built):
    """The score of points, as a function of the level (N,)."""
    def score_fn(x, level):
        sigma = level[:, None]
        away, spread = x - built["mean"], (sigma**2 + built["sigma_data"] ** 2).sqrt()
        output = network(away / spread, level.log() / 4)
        return (built["sigma_data"] / sigma * output - away / spread) / spread

    return score_fn


def binned(network, built):
    """The score of images: Bayes' rule over what each pixel's count may have been."""
    edges = range(built["num_bins"] + 1)

    def score_fn(x, level, labels):
        sigma = level[:, None, None, None]
        spread = (sigma**2 + built["sigma_data"] ** 2).sqrt()
        logits = network((x - built["mean"]) / spread, level.log() / 4, labels)
        away = (torch.tensor(edges, dtype=x.dtype) - x[..., None]) / sigma[..., None]
        low, high = away[..., :-1], away[..., 1:]
        beyond = low > 0
        of_low = torch.special.log_ndtr(torch.where(beyond, -high, low))
        of_high = torch.special.log_ndtr(torch.where(beyond, -low, high))
        tiny = torch.finfo(x.dtype).tiny
        evidence = of_high + torch.log(-torch.expm1((of_low - of_high).clamp(max=-tiny)))
        log_normal = -0.5 * away**2 - 0.5 * math.log(2 * math.pi)
        slopes = (log_normal[..., :-1] - evidence).exp() - (log_normal[..., 1:] - evidence).exp()
        slopes = torch.minimum(torch.maximum(slopes, low), high)
        return ((evidence + logits).softmax(-1) * slopes).sum(-1) / sigma

    return score_fn


def denoising_loss(score_fn, x, noise, level, *labels):
    """½ ‖σ s + ε‖² of rows, in the mean."""
    sigma = level.reshape(-1, *[1] * (x.ndim - 1))
    error = sigma * score_fn(x + sigma * noise, level, *labels) + noise
    return 0.5 * error.square().flatten(1).sum(1).mean()


@torch.no_grad()
def heun(score_fn, x, levels, *labels):
    """Samples, by falling levels, the last 0."""
    def slope(x, level):
        return -level * score_fn(x, torch.full(x.shape[:1], level, dtype=x.dtype), *labels)

    for level, below in pairwise(levels):
        first = slope(x, level)
        ahead = x + (below - level) * first
        x = x + (below - level) / 2 * (first + slope(ahead, below)) if below else ahead
    return x


def oracle(file, *, built):
    """With the parameters of the file, in its precision: how far are loss, gradients and samples from the file's?

    Of each, the largest difference over the largest value.
    """
    network, score_fn = _built(file, built, torch.float64)
    rows = [_rows(file[name]) for name in ("x", "noise")]
    labels = [torch.from_numpy(file["labels"])] if "labels" in file else []
    loss = denoising_loss(score_fn, *rows, torch.from_numpy(file["levels"]), *labels)
    named = dict(network.named_parameters())
    gradients = torch.autograd.grad(loss, list(named.values()))
    there = [_as_named_here(file, "gradients", name).flatten() for name in named]
    samples = heun(score_fn, _rows(file["start"]), file["sampler.levels"].tolist(), *labels)
    return {"loss": _apart(loss, torch.from_numpy(file["loss"])),
            "gradients": _apart(torch.cat([one.flatten() for one in gradients]), torch.cat(there)),
            "samples": _apart(samples, _rows(file["samples"]))}


def train(file, *, built, compiling, channels_last, threads, chunk_steps, chunks):
    """Seconds a step of every chunk but the first, from the parameters of the file."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    recipe, layout = built["recipe"], torch.channels_last if channels_last else torch.contiguous_format
    network, score_fn = _built(file, built, torch.float32, layout)
    loss_of = torch.compile(denoising_loss) if compiling else denoising_loss
    params = list(network.parameters())
    optimizer = torch.optim.Adam(params, recipe["learning_rate"], (0.9, 0.99), fused=True)
    averages, draw = [one.detach().clone() for one in params], _sampler(file, built, layout)

    def step(done):
        optimizer.param_groups[0]["lr"] = _rate(done, recipe)
        optimizer.zero_grad()
        loss = loss_of(score_fn, *draw())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, params, 1 / min(done + 1, max(1, recipe["average"] * recipe["steps"])))

    seconds = []
    for chunk in range(chunks + 1):
        clock = time.perf_counter()
        for number in range(chunk_steps):
            step(chunk * chunk_steps + number)
        seconds.append((time.perf_counter() - clock) / chunk_steps)
    return {"compile_seconds": chunk_steps * (seconds[0] - min(seconds)), "seconds": seconds[1:],
            "torch": torch.__version__}


def sample(file, *, built, compiling, channels_last, threads, num, repeats):
    """Seconds for so many samples, by the parameters of the file."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    score_fn = _built(file, built, torch.float32, layout)[1]
    score_fn = torch.compile(score_fn) if compiling else score_fn
    levels = file["sampler.levels"].tolist()
    shape, labels = tuple(built["shape"]), ()
    if built["num_classes"]:
        shape, labels = (shape[-1], *shape[:-1]), (torch.arange(num) % built["num_classes"],)
    seconds = []
    for _ in range(repeats + 1):
        clock = time.perf_counter()
        start = built["mean"] + math.hypot(levels[0], built["sigma_data"]) * torch.randn(num, *shape)
        heun(score_fn, start, levels, *labels)
        seconds.append(time.perf_counter() - clock)
    return {"compile_seconds": seconds[0] - min(seconds), "seconds": seconds[1:], "torch": torch.__version__}


def _rate(done, recipe):
    """Up from 0, then along a cosine down to a hundredth."""
    rising = max(1, round(WARMUP * recipe["steps"]))
    if done < rising:
        return recipe["learning_rate"] * done / rising
    fallen = min(1, (done - rising) / max(1, recipe["steps"] - rising))
    return recipe["learning_rate"] * (0.01 + 0.99 * (1 + math.cos(math.pi * fallen)) / 2)


def _sampler(file, built, layout):
    """A batch, drawn: rows, noise, levels, and labels where there are some."""
    data = {name.removeprefix("data."): torch.from_numpy(array) for name, array in file.items()
            if name.startswith("data.")}
    recipe, num = built["recipe"], built["recipe"]["batch_size"]

    def levels():
        drawn = (recipe["level_mean"] + recipe["level_std"] * torch.randn(num)).exp()
        return drawn.clamp(recipe["least_level"], recipe["most_level"])

    def of_points():
        rows = torch.randint(len(data["centres"]), (num,))
        x = data["centres"][rows] + data["sigma"] * torch.randn(num, *built["shape"])
        return x, torch.randn_like(x), levels()

    def of_images():
        rows = torch.randint(len(data["labels"]), (num,))
        x = data["images"][rows]
        x = x + torch.rand_like(x)
        told = torch.rand(num) >= recipe["classless"]
        return x, torch.randn_like(x), levels(), torch.where(told, data["labels"][rows], built["num_classes"])

    if "centres" in data:
        return of_points
    data["images"] = data["images"].movedim(-1, 1).contiguous(memory_format=layout)
    return of_images


def _built(file, built, dtype, layout=torch.contiguous_format):
    """A network with the parameters of the file, and its score."""
    recipe, shape = built["recipe"], built["shape"]
    if built["num_classes"]:
        network, score = ImageLogits(shape, built["num_bins"], recipe["channels"], recipe["width"], recipe["layers"],
                                     built["num_classes"]), binned
    else:
        network, score = PointNetwork(shape[0], recipe["width"], recipe["layers"]), preconditioned
    with torch.no_grad():
        for name, one in network.to(dtype).named_parameters():
            one.copy_(_as_named_here(file, "params", name))
    network = network.to(memory_format=layout)
    return network, score(network, built)


def _as_named_here(file, kind, name):
    """An array of the file, which has flax's names, and outputs last in its kernels."""
    layer, leaf = name.removeprefix("layers.").split(".")
    if leaf == "bias":
        return torch.from_numpy(file[f"{kind}.{layer}.bias"])
    for theirs in ("scale", "embedding"):
        if f"{kind}.{layer}.{theirs}" in file:
            return torch.from_numpy(file[f"{kind}.{layer}.{theirs}"])
    return torch.from_numpy(file[f"{kind}.{layer}.kernel"]).movedim((-1, -2), (0, 1)).contiguous()


def _rows(array):
    """Rows of the file, channels first where they are images."""
    rows = torch.from_numpy(array)
    return rows.movedim(-1, 1) if rows.ndim == 4 else rows


def _apart(here, there):
    return float((here.detach() - there).abs().max() / there.abs().max())


if __name__ == "__main__":
    serve({"oracle": oracle, "train": train, "sample": sample})
