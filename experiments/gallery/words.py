"""Numbers, seeds and commands as people read them."""

import json
import shlex
from typing import Any

MOST_DECIMALS = 6
DIGITS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
CLEAR = set(" =,.:/_-+") | set(map(chr, range(48, 58))) | set(map(chr, range(65, 91))) | set(map(chr, range(97, 123)))


def shown(value: float | None, digits: int = 4) -> str:
    """A number in so many digits or a few more, by a power of ten below 0.0001 and from ten million on; page.js agrees.

    >>> shown(0.06041), shown(-365.328), shown(150000.0), shown(26133.67), shown(0.00012), shown(1.2e-9), shown(None)
    ('0.06041', '−365.3', '150,000', '26,134', '0.00012', '1.2·10⁻⁹', 'not finite')
    """
    if value is None or value != value:
        return "not finite"
    if _is_plain(value):
        text = _fixed(value, digits - 1 - _power(value))
        return text.rstrip("0").rstrip(".") if "." in text else text
    power = _power(value)
    mantissa, power_of_ten = shown(value / 10**power, digits), f"10{str(power).translate(DIGITS)}"
    return power_of_ten if mantissa == "1" else f"{mantissa}·{power_of_ten}"


def interval(mean: float | None, half: float | None) -> str:
    """A mean and its interval's half-width, to the two digits of which both are given; without one that is nothing.

    >>> interval(0.99721, 0.00491), interval(8.0, None), interval(8.0, 0.0), interval(None, None)
    ('0.9972 ± 0.0049', '8', '8', 'not finite')
    >>> interval(0.25, 0.03), interval(8123.4, 250.0), interval(1.234e-6, 1.2e-8), interval(0.5, 1e-9)
    ('0.250 ± 0.030', '8,123 ± 250', '(1.234 ± 0.012)·10⁻⁶', '0.5 ± 10⁻⁹')
    """
    if mean is None or not half:
        return shown(mean)
    largest = max(abs(mean), abs(half))
    if not _is_plain(largest):
        power = _power(largest)
        return f"({interval(mean / 10**power, half / 10**power)})·10{str(power).translate(DIGITS)}"
    decimals = 1 - _power(half)
    if decimals > MOST_DECIMALS:
        return f"{shown(mean)} ± {shown(half, 2)}"
    return f"{_fixed(mean, decimals)} ± {_fixed(half, decimals)}"


def _is_plain(value: float) -> bool:
    return value == 0 or -4 <= _power(value) < 7


def _power(value: float) -> int:
    """Of ten, in the first digit of a number."""
    return int(f"{value:e}".partition("e")[2])


def _fixed(value: float, decimals: int) -> str:
    return f"{value:,.{max(decimals, 0)}f}".replace("-", "−")


def how_many(runs: int, sweeps: int) -> str:
    """Runs and sweeps, counted.

    >>> how_many(10, 1), how_many(1, 2), how_many(0, 1), how_many(0, 0)
    ('10 runs and a sweep', '1 run and 2 sweeps', 'a sweep', '0 runs')
    """
    parts = [f"{runs} run{'' if runs == 1 else 's'}"] if runs or not sweeps else []
    return " and ".join([*parts, *(["a sweep" if sweeps == 1 else f"{sweeps} sweeps"] if sweeps else [])])


def seeds(of: list[str]) -> str:
    """Seeds in a word.

    >>> seeds(["0"]), seeds(["3", "4", "5"])
    ('seed 0', '3 seeds, 3 to 5')
    """
    if not of:
        return ""
    return f"seed {of[0]}" if len(of) == 1 else f"{len(of)} seeds, {of[0]} to {of[-1]}"


def flag(value: Any) -> str:
    """A flag's value.

    >>> flag("ring"), flag(0.1), flag(True), flag([16, 32])
    ('ring', '0.1', 'true', '[16, 32]')
    """
    return value if isinstance(value, str) else json.dumps(value, default=str)


def made_with(manifest: dict[str, Any]) -> dict[str, str]:
    """What a run was made with, by name."""
    device, versions = ((value if isinstance(value, dict) else {}) for value in
                        (manifest.get("devices"), manifest.get("versions")))
    facts = {
        "device": bool(device) * "{} × {} ({})".format(
            *(device.get(name, "?") for name in ("count", "kind", "platform"))),
        "machine": ", ".join(str(manifest[name]) + unit for name, unit in (("system", ""), ("cpus", " CPUs"))
                             if manifest.get(name)),
        "versions": ", ".join(f"{name} {version}" for name, version in
                              {"Python": manifest.get("python"), **versions}.items() if version),
        "commit": str(manifest.get("commit") or ""),
    }
    return {name: fact for name, fact in facts.items() if fact}


def command(manifest: dict[str, Any]) -> str:
    """The command that made a run, by make where a shell needs no quotes for it.

    >>> command({"command": ["python", "-m", "experiments", "kalman", "--seeds", "3"]})
    'make run-experiment EXP=kalman ARGS="--seeds 3"'
    """
    words = manifest.get("command")
    if not isinstance(words, list) or not words:
        return ""
    words = [str(word) for word in words]
    if words[:3] == ["python", "-m", "experiments"] and words[3:4] not in ([], ["--all"]):
        flags = words[4:]
        if all(flag and set(flag) <= CLEAR and " " not in flag for flag in words[3:]):
            return f"make run-experiment EXP={words[3]}" + (f' ARGS="{" ".join(flags)}"' if flags else "")
    return shlex.join(words)
