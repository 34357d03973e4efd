"""What devices say to each other, read from the program that the compiler made: how often, and how many bytes."""

import functools
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "ragged-all-to-all", "collective-permute",
         "collective-broadcast")


class Traffic(NamedTuple):
    """times: how often in a call of the program. bytes: of one chip, of what it gives or of what it gets, whichever
    is more."""

    times: float
    bytes: float


_BITS = re.compile(r"\d+")
_LAYOUT = re.compile(r"\{[^{}]*\}")
_ELEMENT = re.compile(r"\([^()]*\)|\w+\[[^]]*\]")
_ARRAY = re.compile(r"\b(pred|token|[a-z]+\d+\w*)\[([\d,]*)\]")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_COLLECTIVE = re.compile(rf"^(.*?) ({'|'.join(KINDS)})(-start)?\(([^)]*)\)")
_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.\-]+)")
_LIST_OF_CALLED = re.compile(r"(?:called_computations|calls)=\{([^}]*)\}")
_BRANCH = re.compile(r"(?:true|false)_computation=(%?[\w.\-]+)|branch_computations=\{([^}]*)\}")
_LOOP = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_TOLD_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CONSTANT = re.compile(r" = [su](?:8|16|32|64)\[\]\S* constant\((\d+)\)")


def traffic(text: str) -> dict[str, Traffic]:
    """Collectives of a compiled program by kind, those in loops as often as the loop turns.

    A loop whose number of turns the program does not tell is counted as one turn; of a conditional's branches, the one
    that sends most bytes.

    Args:
      text: HLO, as `compiled.as_text()` writes it.
    """
    bodies, entry = _computations(text)

    @functools.cache
    def of(name: str) -> dict[str, Traffic]:
        lines = {match[1]: match[2] for line in bodies.get(name, ()) if (match := _INSTRUCTION.match(line))}
        total: dict[str, Traffic] = defaultdict(lambda: Traffic(0, 0))
        for line in lines.values():
            if match := _COLLECTIVE.match(line):
                shape, kind, starts, operands = match.groups()
                size = _bytes_of(kind, shape, bool(starts), [lines.get(one, "") for one in _names(operands)])
                _add(total, {kind: Traffic(1, size)})
            if match := _LOOP.search(line):
                _add(total, of(match[2]), _turns(line, bodies.get(match[1], [])))
            if branches := _names_after(_BRANCH, line):
                _add(total, max(map(of, branches), key=_all_bytes))
            for called in _names_after(_CALLED, line) + _names_after(_LIST_OF_CALLED, line):
                _add(total, of(called))
        return dict(total)

    return of(entry)


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Lines of each computation by its name, and the name of the one that is run."""
    bodies, entry, lines = {}, "", []
    for line in text.splitlines():
        if match := _HEADER.match(line):
            lines = bodies[match[2]] = []
            entry = match[2] if match[1] else entry
        elif line.startswith(" "):
            lines.append(line)
    return bodies, entry


def _add(total: dict[str, Traffic], more: Mapping[str, Traffic], times: int = 1) -> None:
    for kind, one in more.items():
        total[kind] = Traffic(total[kind].times + times * one.times, total[kind].bytes + times * one.bytes)


def _all_bytes(traffic: Mapping[str, Traffic]) -> float:
    return sum(one.bytes for one in traffic.values())


def _turns(line: str, condition: list[str]) -> int:
    """As the compiler noted it, or else what the loop's condition compares its counter with."""
    if match := _TOLD_TRIPS.search(line):
        return int(match[1])
    root = next((one for one in condition if one.lstrip().startswith("ROOT")), "")
    limits = [int(match[1]) for one in condition if (match := _CONSTANT.search(one))]
    return limits[0] if len(limits) == 1 and ("direction=LT" in root or "compare" in root) else 1


def _bytes_of(kind: str, shape: str, starts: bool, operands: list[str]) -> int:
    if kind == "all-reduce":
        return sum(_array_bytes(shape))
    if starts:  # a tuple of what is given, what is gotten, and marks; what is of several arrays, a tuple of its own
        return max((sum(_array_bytes(one)) for one in _elements(shape)), default=0)
    return max(sum(_array_bytes(shape)), sum(sum(_array_bytes(one.partition(" ")[0])) for one in operands))


def _elements(shape: str) -> list[str]:
    """Of a tuple, whose elements may be tuples of arrays.

    >>> _elements("((f32[4,8]{1,0:T(4,128)}, f32[2]{0}), (f32[8,8], f32[4]), u32[])")
    ['(f32[4,8], f32[2])', '(f32[8,8], f32[4])', 'u32[]']
    """
    return _ELEMENT.findall(_LAYOUT.sub("", shape).strip()[1:-1])


def _array_bytes(shape: str) -> list[int]:
    return [math.prod(map(int, filter(None, sizes.split(",")))) * _item_bytes(dtype)
            for dtype, sizes in _ARRAY.findall(shape)]


def _item_bytes(dtype: str) -> int:
    if dtype == "token":
        return 0
    bits = _BITS.search(dtype)
    return max(int(bits[0]) // 8, 1) if bits else 1


def _names(listed: str) -> list[str]:
    return re.findall(r"%([\w.\-]+)", listed)


def _names_after(said: re.Pattern[str], line: str) -> list[str]:
    """Those that a line gives for an attribute, with % before them or without."""
    return re.findall(r"[\w.\-]+", " ".join("".join(match.groups(default="")) + " " for match in said.finditer(line)))
