"""PyTorch's half of the benchmark of GANs, for an interpreter that has it."""

# pyright: reportMissingImports=false
import math
import time

import torch
from torch.func import functional_call, grad_and_value, vjp
from torch.nn import functional as F

from experiments.benchmarks.side import serve

PLAYERS = ("generator", "discriminator")
PENALTY_FALLS = 0.8  # of the steps, as the experiment has it


class Perceptron(torch.nn.Module):
    """relu between linear layers; of inputs as they are, or beside waves of so many octaves."""

    def __init__(self, inputs, widths, outputs, waves=0):
        super().__init__()
        self.octaves = [2.0**k for k in range(waves)]
        sizes = [inputs * (1 + 2 * waves), *widths, outputs]
        self.layers = torch.nn.ModuleList(map(torch.nn.Linear, sizes, sizes[1:]))

    def forward(self, x):
        """(N, outputs) of x (N, inputs)."""
        x = torch.cat([x, *(wave(k * x) / k for k in self.octaves for wave in (torch.sin, torch.cos))], 1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class PointDiscriminator(Perceptron):
    """A perceptron of one output."""

    def forward(self, x):
        """(N,)."""
        return super().forward(x).squeeze(1)


class ImageGenerator(torch.nn.Module):
    """The same model as sandbox.gan's."""

    def __init__(self, shape, widths, latent_size, num_classes):
        super().__init__()
        self.widths, self.size = widths, [pixels // 2 ** (len(widths) - 1) for pixels in shape[:2]]
        self.of_class = torch.nn.Embedding(num_classes, latent_size)
        self.first = torch.nn.Linear(2 * latent_size, math.prod(self.size) * widths[0])
        self.convs = torch.nn.ModuleList([*_convs(widths), _conv(widths[-1], shape[-1], 3)])

    def forward(self, latents, labels):
        """(N, C, H, W)."""
        x = self.first(torch.cat([latents, self.of_class(labels)], 1))
        x = x.view(-1, *self.size, self.widths[0]).movedim(-1, 1)
        convs = iter(self.convs)
        for stage in range(len(self.widths)):
            if stage:
                x = F.interpolate(next(convs)(x), scale_factor=2.0, mode="nearest")
            x = _residual(x, next(convs), next(convs))
        return torch.tanh(next(convs)(F.leaky_relu(x, 0.2)))


class ImageDiscriminator(torch.nn.Module):
    """The same model as sandbox.gan's."""

    def __init__(self, shape, widths, num_classes):
        super().__init__()
        self.stages = len(widths)
        self.convs = torch.nn.ModuleList([_conv(shape[-1], widths[-1], 3), *_convs(widths[::-1])])
        pixels = math.prod(shape[:2]) // 4 ** (self.stages - 1)
        self.features = torch.nn.Linear(pixels * widths[0], widths[0])
        self.out, self.of_class = torch.nn.Linear(widths[0], 1), torch.nn.Embedding(num_classes, widths[0])

    def forward(self, x, labels):
        """(N,) of images (N, C, H, W)."""
        convs = iter(self.convs)
        x = next(convs)(x)
        for stage in range(self.stages):
            if stage:
                x = next(convs)(F.avg_pool2d(x, 2))
            x = _residual(x, next(convs), next(convs))
        features = self.features(F.leaky_relu(x, 0.2).movedim(1, -1).flatten(1))
        return self.out(features).squeeze(1) + (features * self.of_class(labels)).sum(1)


def generator_loss(generator, discriminator, real, latents, *labels):
    """Relativistic. The players are functions."""
    with torch.no_grad():
        real_logits = discriminator(real, *labels)
    return F.softplus(real_logits - discriminator(generator(latents, *labels), *labels)).mean()


def discriminator_loss(discriminator, generator, slopes_of, r1, r2, real, latents, *labels):
    """Relativistic, with R1 and R2; real and fake samples in one pass.

    slopes_of: (discriminator, samples, *labels) -> logits, and their gradient by the samples.
    """
    with torch.no_grad():
        fake = generator(latents, *labels)
    logits, slopes = slopes_of(discriminator, torch.cat([real, fake]), *(torch.cat([of, of]) for of in labels))
    (real_logits, fake_logits), squares = logits.chunk(2), slopes.square().flatten(1).sum(1)
    real_squares, fake_squares = squares.chunk(2)
    return (F.softplus(fake_logits - real_logits) + r1 / 2 * real_squares + r2 / 2 * fake_squares).mean()


def oracle(file, *, built):
    """With the parameters of the file, in its precision: how far are losses and gradients from the file's?

    Of each, the largest difference over the largest value, of the worse player.
    """
    generator, discriminator = players = _players(file, built, torch.float64)
    batch, apart = _batch(file), {"losses": [], "gradients": []}
    losses = (generator_loss(generator, discriminator, *batch),
              discriminator_loss(discriminator, generator, _taped, built["r1"], built["r2"], *batch))
    for player, network, loss in zip(PLAYERS, players, losses):
        apart["losses"].append(_apart(loss, torch.from_numpy(file[f"loss.{player}"])))
        named = dict(network.named_parameters())
        gradients = torch.autograd.grad(loss, list(named.values()))
        there = [_as_named_here(file, f"gradients.{player}", name).flatten() for name in named]
        apart["gradients"].append(_apart(torch.cat([one.flatten() for one in gradients]), torch.cat(there)))
    return {name: max(values) for name, values in apart.items()}


def train(file, *, built, compiling, channels_last, threads, chunk_steps, chunks):
    """Seconds a step of every chunk but the first, from the parameters of the file.

    A step: the discriminator's update by Adam, then the generator's on a batch of its own, and the average of both.
    Eager, gradients go back along a tape. torch.compile takes no gradient of such a gradient: compiled, both are
    torch.func's.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    recipe, layout = built["recipe"], torch.channels_last if channels_last else torch.contiguous_format
    players = [player.to(memory_format=layout) for player in _players(file, built, torch.float32)]
    of_generator, of_discriminator = (_functional if compiling else _backward)(*players)
    if compiling:
        of_generator, of_discriminator = torch.compile(of_generator), torch.compile(of_discriminator)
    params = [list(player.parameters()) for player in players]
    rates = [recipe[f"{player}_rate"] for player in PLAYERS]
    optimizers = [torch.optim.Adam(of, rate, (recipe["momentum"], 0.99), fused=True)
                  for of, rate in zip(params, rates)]
    learned = [one for of in params for one in of]
    averages, draw = [one.detach().clone() for one in learned], _sampler(file, recipe, layout)

    def update(number, rate, gradients):
        for one, gradient in zip(params[number], gradients):
            one.grad = gradient
        optimizers[number].param_groups[0]["lr"] = rate * rates[number]
        optimizers[number].step()

    def step(done):
        fall = torch.tensor(recipe["penalty_fall"] ** min(done / (PENALTY_FALLS * recipe["steps"]), 1))
        falling = max(0, done / recipe["steps"] - recipe["constant"]) / (1 - recipe["constant"])
        gradients, loss = of_discriminator(recipe["r1"] * fall, recipe["r2"] * fall, *draw())
        update(1, 1, gradients)
        update(0, recipe["generator_fall"] ** falling, of_generator(*draw())[0])
        with torch.no_grad():
            torch._foreach_lerp_(averages, learned, 1 / min(done + 1, recipe["average"] * recipe["steps"] + 1))
        return loss

    seconds, loss = [], 0.0
    for chunk in range(chunks + 1):
        clock = time.perf_counter()
        losses = [step(chunk * chunk_steps + number) for number in range(chunk_steps)]
        loss = float(torch.stack(losses).mean())
        seconds.append((time.perf_counter() - clock) / chunk_steps)
    return {"compile_seconds": chunk_steps * (seconds[0] - min(seconds)), "seconds": seconds[1:], "loss": loss,
            "torch": torch.__version__}


def _backward(generator, discriminator):
    """Gradients and value of both players' losses, along a tape."""
    def of_generator(*batch):
        loss = generator_loss(generator, discriminator, *batch)
        return torch.autograd.grad(loss, list(generator.parameters())), loss.detach()

    def of_discriminator(r1, r2, *batch):
        loss = discriminator_loss(discriminator, generator, _taped, r1, r2, *batch)
        return torch.autograd.grad(loss, list(discriminator.parameters())), loss.detach()

    return of_generator, of_discriminator


def _functional(generator, discriminator):
    """The same as functions of the parameters."""
    x, y = ({name: one.detach() for name, one in network.named_parameters()} for network in (generator, discriminator))

    def bound(network, params):
        return lambda *inputs: functional_call(network, params, inputs)

    def of_generator(*batch):
        def loss_of(params):
            return generator_loss(bound(generator, params), bound(discriminator, y), *batch)

        gradients, loss = grad_and_value(loss_of)(x)
        return list(gradients.values()), loss

    def of_discriminator(r1, r2, *batch):
        def loss_of(params):
            return discriminator_loss(bound(discriminator, params), bound(generator, x), _pulled, r1, r2, *batch)

        gradients, loss = grad_and_value(loss_of)(y)
        return list(gradients.values()), loss

    return of_generator, of_discriminator


def _taped(discriminator, samples, *labels):
    samples.requires_grad_()
    logits = discriminator(samples, *labels)
    return logits, *torch.autograd.grad(logits.sum(), samples, create_graph=True)


def _pulled(discriminator, samples, *labels):
    logits, pull = vjp(lambda x: discriminator(x, *labels), samples)
    return logits, *pull(torch.ones_like(logits))


def _sampler(file, recipe, layout):
    """A batch, drawn: real samples, latents, and labels where there are some."""
    data = {name.removeprefix("data."): torch.from_numpy(array) for name, array in file.items()
            if name.startswith("data.")}
    num = recipe["batch_size"]

    def of_points():
        rows = torch.randint(len(data["centres"]), (num,))
        return data["centres"][rows] + data["sigma"] * torch.randn(num, 2), torch.randn(num, recipe["latent_size"])

    def of_images():
        rows = torch.randint(len(data["labels"]), (num,))
        return data["images"][rows], torch.randn(num, recipe["latent_size"]), data["labels"][rows]

    if "centres" in data:
        return of_points
    data["images"] = data["images"].movedim(-1, 1).contiguous(memory_format=layout)
    return of_images


def _batch(file):
    real, latents = (torch.from_numpy(file[name]) for name in ("real", "latents"))
    labels = (torch.from_numpy(file["labels"]),) if "labels" in file else ()
    return real.movedim(-1, 1) if real.ndim == 4 else real, latents, *labels


def _players(file, built, dtype):
    """Both networks with the parameters of the file."""
    recipe, shape = built["recipe"], built["shape"]
    if built["num_classes"]:
        networks = (ImageGenerator(shape, recipe["widths"], recipe["latent_size"], built["num_classes"]),
                    ImageDiscriminator(shape, recipe["widths"], built["num_classes"]))
    else:
        networks = (Perceptron(recipe["latent_size"], recipe["widths"], shape[0]),
                    PointDiscriminator(shape[0], recipe["widths"], 1, recipe["waves"]))
    with torch.no_grad():
        for player, network in zip(PLAYERS, networks):
            for name, one in network.to(dtype).named_parameters():
                one.copy_(_as_named_here(file, f"params.{player}", name).view_as(one))
    return networks


def _as_named_here(file, kind, name):
    """An array of the file, which has flax's names, and outputs last in its kernels."""
    layer, _, leaf = name.rpartition(".")
    family, _, number = layer.partition(".")
    theirs = {"layers": f"hidden_{number}", "convs": f"Conv_{number}", "first": "in", "of_class": "Embed_0"}
    of = theirs.get(family, family)
    if f"{kind}.{of}.bias" not in file and family == "layers":
        of = "out"
    if family == "of_class":
        return torch.from_numpy(file[f"{kind}.{of}.embedding"])
    array = torch.from_numpy(file[f"{kind}.{of}.{leaf.replace('weight', 'kernel')}"])
    return array.movedim((-1, -2), (0, 1)).contiguous() if array.ndim > 1 else array


def _convs(widths):
    """Of all sizes of image in this order: to the next width, then two of a block."""
    return [conv for stage, width in enumerate(widths)
            for conv in [*([_conv(widths[stage - 1], width, 1)] if stage else []),
                         _conv(width, width, 3), _conv(width, width, 3)]]


def _conv(inputs, outputs, size):
    return torch.nn.Conv2d(inputs, outputs, size, padding=size // 2)


def _residual(x, first, second):
    return x + second(F.leaky_relu(first(F.leaky_relu(x, 0.2)), 0.2))


def _apart(here, there):
    return float((here.detach() - there).abs().max() / there.abs().max())


if __name__ == "__main__":
    serve({"oracle": oracle, "train": train})
