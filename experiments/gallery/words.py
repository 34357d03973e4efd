"""Numbers, seeds and commands as people read them."""

import shlex
from typing import Any

DIGITS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
CLEAR = set(" =,.:/_-+") | set(map(chr, range(48, 58))) | set(map(chr, range(65, 91))) | set(map(chr, range(97, 123)))


def shown(value: float | None, digits: int = 4) -> str:
    """A number in a few digits.

    >>> shown(0.06041), shown(-365.328), shown(150000.0), shown(1.2e-9), shown(1e-10), shown(None)
    ('0.06041', '−365.3', '150,000', '1.2·10⁻⁹', '10⁻¹⁰', 'not finite')
    """
    if value is None or value != value:
        return "not finite"
    if value == round(value) and abs(value) < 1e7:
        return f"{value:,.0f}".replace("-", "−")
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    if not exponent:
        return mantissa.replace("-", "−")
    power = f"10{str(int(exponent)).translate(DIGITS)}"
    return power if mantissa == "1" else f"{mantissa.replace('-', '−')}·{power}"


def interval(mean: float | None, half: float | None) -> str:
    """A mean and its interval's half-width.

    >>> interval(0.99721, 0.00491), interval(8.0, None), interval(None, None)
    ('0.9972 ± 0.0049', '8', 'not finite')
    """
    return shown(mean) + ("" if mean is None or half is None else f" ± {shown(half, 2)}")


def seeds(of: list[str]) -> str:
    """Seeds in a word.

    >>> seeds(["0"]), seeds(["3", "4", "5"])
    ('seed 0', '3 seeds, 3 to 5')
    """
    if not of:
        return ""
    return f"seed {of[0]}" if len(of) == 1 else f"{len(of)} seeds, {of[0]} to {of[-1]}"


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
