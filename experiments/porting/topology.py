"""TPUs that are not here: libtpu's compiler, asked for a named topology, and what it says a program takes of a chip."""

import importlib.metadata
import importlib.util
import math
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies

from experiments.porting.collectives import Traffic, traffic
from experiments.porting.programs import Built, Program
from experiments.porting.tiles import Argument, arguments_of
from experiments.runner.errors import UserError
from sandbox.sharding import make_mesh

GIB = 2**30

QUIETLY = {"TPU_SKIP_MDS_QUERY": "1", "TPU_WORKER_HOSTNAMES": "localhost", "TPU_ACCELERATOR_TYPE": "v5litepod-4",
           "TPU_MIN_LOG_LEVEL": "3", "TF_CPP_MIN_LOG_LEVEL": "3", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
"""Environment in which libtpu looks for no TPU, says nothing of not finding one, and minds nobody who has one."""


class Generation(NamedTuple):
    """usable: bytes of a chip's memory that a program can have. options: for jax, to see one device per chip."""

    usable: int
    options: Mapping[str, str]


GENERATIONS = {
    "v4": Generation(int(30.75 * GIB), {"chip_config_name": "megacore"}),
    "v5e": Generation(int(15.75 * GIB), {}),
    "v5p": Generation(int(95.74 * GIB), {}),
    "v6e": Generation(int(31.25 * GIB), {}),
}
"""Memory: 32, 16, 95 and 32 GB (Google, Cloud TPU documentation, system architecture); usable is what libtpu 0.0.42
says that there is, when it refuses a program for needing more."""


class Topology(NamedTuple):
    """name: as in v5e:2x2. devices: its chips. usable: bytes of each."""

    name: str
    devices: tuple[Any, ...]
    usable: int


class Figures(NamedTuple):
    """What a compiled program takes, in bytes of one chip; traffic: in a call of the program."""

    argument_bytes: int
    temporary_bytes: int
    output_bytes: int  # but for what takes an argument's place
    arguments: tuple[Argument, ...]
    traffic: dict[str, Traffic]

    @property
    def bytes(self) -> int:
        return self.argument_bytes + self.temporary_bytes + self.output_bytes

    @property
    def all_traffic(self) -> Traffic:
        return Traffic(sum(one.times for one in self.traffic.values()), sum(one.bytes for one in self.traffic.values()))


def libtpu_version() -> str | None:
    """None where there is none."""
    if importlib.util.find_spec("libtpu") is None:
        return None
    return importlib.metadata.version("libtpu")


def topology(name: str) -> Topology:
    """The chips that a name stands for, as v5e:2x2, v4:2x2x1 or v6e:4x4.

    Raises:
      UserError: a name that is not of this form, of a generation that is not known, or of a shape that it has not.
    """
    match = re.fullmatch(r"(\w+):(\d+(?:x\d+){1,2})", name)
    if match is None or match[1] not in GENERATIONS:
        raise UserError(f"--topology must be one of {', '.join(GENERATIONS)} with its shape, as in v5e:2x2, "
                        f"got {name!r}")
    generation, sides = GENERATIONS[match[1]], [int(side) for side in match[2].split("x")]
    host = [min(side, 2) for side in sides] + [1] * (3 - len(sides))
    os.environ.update(QUIETLY)  # before libtpu is loaded, which this does
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=name, chips_per_host_bounds=host,
                                             **generation.options)
    except jax.errors.JaxRuntimeError as error:
        raise UserError(f"--topology {name}: {str(error).strip()}") from error
    if len(found.devices) != math.prod(sides):
        raise UserError(f"--topology {name}: libtpu sees {len(found.devices)} devices in it")
    return Topology(name, tuple(found.devices), generation.usable)


def compile_for(where: Topology, program: Program) -> Figures:
    """A program compiled for a topology, its arguments placed on all of its chips.

    Raises:
      jax.errors.JaxRuntimeError: it needs more memory than there is, or something that the compiler has not.
      ValueError: something does not divide; see sandbox.sharding.
    """
    return figures_of(built_for(where, program))


def built_for(where: Topology, program: Program) -> Built:
    """A program for the mesh that a topology's chips make."""
    axes = {"data": len(where.devices) // program.model} | ({"model": program.model} if program.model > 1 else {})
    return program.build(make_mesh(axes, where.devices))


def figures_of(built: Built) -> Figures:
    """Compile, for the devices that the arguments are placed on."""
    compiled = built.function.lower(*built.arguments).compile()
    memory = compiled.memory_analysis()
    return Figures(memory.argument_size_in_bytes, memory.temp_size_in_bytes,
                   memory.output_size_in_bytes - memory.alias_size_in_bytes,
                   arguments_of(compiled, built.arguments), traffic(compiled.as_text()))
