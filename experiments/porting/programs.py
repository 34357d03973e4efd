"""What a port must bring over: each loss with its gradient, and the training chunk of each stage of each experiment.

A program is built for a mesh, of devices that need not be there: nothing in it is an array, but its shapes are those
that the experiment has, and its arguments are placed as the experiment places them.
"""

import functools
import importlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import experiments
import sandbox
from experiments.porting.variants import VARIANTS
from experiments.runner.config import configure, unchecked
from experiments.runner.stage import Stage, chunk, divides_runs, placements
from sandbox.training import Chunk

WITH_MODEL = ("attention",)  # applications whose mesh may have an axis `model`
DIVIDED = ("batch_size", "environments")  # flags of experiments that say how much a mesh divides


class Built(NamedTuple):
    """function: of jax.jit. arguments: pytrees of ShapeDtypeStruct. steps: of learning that a call takes."""

    function: Any
    arguments: tuple[Any, ...]
    steps: int = 1


class Program(NamedTuple):
    """application, name: what it is. build: (mesh, or None for one device) -> Built. model: devices on the mesh's
    axis `model`, where it has one."""

    application: str
    name: str
    build: Callable[[Mesh | None], Built]
    model: int = 1

    @property
    def title(self) -> str:
        return f"{self.application}: {self.name}"


def programs(only: str = "") -> list[Program]:
    """Those whose title contains this, by application; if it begins with an application, no other is read."""
    named = [application for application in applications() if only.partition(":")[0] == application]
    return [program for application in named or applications()
            for program in (*losses(application), *chunks(application), *varied(application))
            if only in program.title]


def applications() -> list[str]:
    """Those that have losses."""
    return sorted(path.parent.name for path in Path(sandbox.__path__[0]).glob("*/losses.py"))


def losses(application: str) -> Iterator[Program]:
    """Value and gradient of each public loss, on the inputs that the tests have for it."""
    for case in cases(application):
        yield Program(application, case.loss.__name__, functools.partial(_build_loss, case))


def cases(application: str) -> tuple[Any, ...]:
    """Each public loss with something to compute it on; see tests/case.py."""
    return importlib.import_module(f"tests.sandbox.{application}.cases").CASES


def value_and_grad(case: Any) -> Callable[..., Any]:
    """(params, batch) -> ((value, aux), gradient)."""
    return jax.value_and_grad(functools.partial(case.loss, **case.keywords), has_aux=True)


def chunks(application: str) -> Iterator[Program]:
    """The training chunk of each stage of an application's experiment, its preset being quick."""
    if application not in experiments.names():
        return
    try:
        names = _names(application)
    except Exception as error:  # one experiment that is broken is no reason to say nothing of the others
        yield Program(application, "stages", functools.partial(_raise, error))
        return
    for position, name in enumerate(names):
        build = functools.partial(build_chunk, application, position)
        yield Program(application, f"stage {name}", build)
        if application in WITH_MODEL:
            yield Program(application, f"stage {name}, model=2", build, model=2)


def varied(application: str) -> Iterator[Program]:
    """Training chunks of an application's VARIANTS; of one that has stages of its own, those alone."""
    for variant in VARIANTS.get(application, {}):
        try:
            usual, names = _names(application), _names(application, variant)
        except Exception as error:
            yield Program(application, f"stages, {variant}", functools.partial(_raise, error))
            continue
        own = [name for name in names if name not in usual]
        for name in own or names:
            build = functools.partial(build_chunk, application, names.index(name), variant=variant)
            yield Program(application, f"stage {name}" if own else f"stage {name}, {variant}", build)


def build_chunk(application: str, position: int, mesh: Mesh | None, length: int | None = None, variant: str = ""
                ) -> Built:
    """A stage's chunk; as many seeds as devices where those are what is divided.

    Args:
      position: among the stages. length: in steps; default: the stage's own. variant: one of VARIANTS, or none.
    """
    stage = stages_of(application, mesh, variant=variant)[position]
    if mesh is not None and divides_runs(stage):
        stage = stages_of(application, mesh, seeds=mesh.shape["data"], variant=variant)[position]
    return chunk_of_stage(stage, mesh, length)


def chunk_of_stage(stage: Stage, mesh: Mesh | None, length: int | None = None, platform: str = "tpu") -> Built:
    """A stage's chunk as `experiments.runner.loop` compiles it, of so many steps (default: its own)."""
    length = min(length or stage.chunk_steps, stage.num_steps)
    function = chunk(stage, length, platform=platform, mesh=mesh)
    state, data = jax.eval_shape(stage.initial, *stage.given), jax.eval_shape(lambda *data: data, *stage.data)
    if mesh is None:
        return Built(jax.jit(function, donate_argnums=0, keep_unused=True), (state, *data), length)
    of_state, of_data = placements(stage, mesh)
    jitted = jax.jit(function, donate_argnums=0, keep_unused=True, out_shardings=Chunk(of_state, None, None))
    return Built(jitted, (placed(state, of_state), *placed(data, of_data)), length)


def placed(tree: Any, shardings: Any) -> Any:
    """Shapes that say where they are to be."""
    return jax.tree.map(lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
                        tree, shardings)


@functools.lru_cache(maxsize=3)
def stages_of(application: str, mesh: Mesh | None, *, seeds: int = 1, variant: str = "") -> tuple[Stage, ...]:
    """The stages of an experiment's quick preset, on its embedded data, as --seeds and --mesh say.

    What a step takes at once (its batch, its environments) is rounded up to a multiple of the devices.
    """
    module = importlib.import_module(f"experiments.{application}")
    flags = {**(VARIANTS[application][variant] if variant else {}), "seeds": seeds}
    config = configure(module, **flags)
    if mesh is not None:
        settle = getattr(module, "settled", getattr(module, "recipe_for", lambda config: config))
        sizes = {flag: getattr(settle(config), flag, None) for flag in DIVIDED}
        rounded = {flag: size + -size % mesh.shape["data"] for flag, size in sizes.items() if size}
        axes = ",".join(f"{name}={size}" for name, size in mesh.shape.items())
        config = unchecked(config, mesh=axes, **rounded)  # compiled, not run: one seed of many, perhaps
    return module.stages(config, module.read(config), mesh)


def _names(application: str, variant: str = "") -> list[str]:
    return [stage.name for stage in stages_of(application, None, variant=variant)]


def _raise(error: Exception, mesh: Mesh | None) -> Built:
    raise error


def _build_loss(case: Any, mesh: Mesh | None) -> Built:
    params, batch = jax.eval_shape(lambda *both: both, case.params, case.batch)
    if mesh is None:
        return Built(jax.jit(value_and_grad(case), keep_unused=True), (params, batch))
    copied = NamedSharding(mesh, PartitionSpec())
    jitted = jax.jit(value_and_grad(case), keep_unused=True, out_shardings=((copied, None), copied))
    params = placed(params, jax.tree.map(lambda leaf: copied, params))
    return Built(jitted, (params, _divided(batch, mesh)))


def _divided(batch: Any, mesh: Mesh) -> Any:
    """As many copies of a batch, one after another, as its rows need to divide over the devices."""
    rows, parts = {leaf.shape[0] for leaf in jax.tree.leaves(batch) if leaf.ndim}, mesh.shape["data"]
    copies = math.lcm(*(parts // math.gcd(parts, number) for number in rows))

    def place(leaf):
        shape = (copies * leaf.shape[0], *leaf.shape[1:]) if leaf.ndim else ()
        spec = PartitionSpec("data") if leaf.ndim else PartitionSpec()
        return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=NamedSharding(mesh, spec))

    return jax.tree.map(place, batch)
