"""Figures made small enough to travel within the page, and crisp enough to be read there."""

import base64
import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import Image

MOST_PIXELS = 40_000_000


class Picture(NamedTuple):
    """A picture as a data: URI with its size in pixels; or without one, and why."""

    uri: str
    width: int
    height: int
    problem: str = ""


def shrink(path: Path, width: int, quality: int) -> Picture:
    """A figure as WebP, no wider than so many pixels, lossless where that takes fewer bytes."""
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise ValueError(f"it has {opened.width} x {opened.height} pixels")
            image = opened.convert("RGB")
        if image.width > width:
            image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
        content = min(_encoded(image, quality=quality, method=2), _encoded(image, lossless=True, quality=0, method=0),
                      key=len)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: of a broken PNG
        reason = str(error).replace(str(path), path.name)
        return Picture("", 0, 0, f"{path.name} cannot be read: {reason}")
    return Picture("data:image/webp;base64," + base64.b64encode(content).decode(), *image.size)


def shrink_all(wanted: Iterable[tuple[Path, int, int]], show: Callable[[int, str], None]) -> list[Picture]:
    """`shrink` of each, on all cores; `show` is told how many are done."""
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        pictures = []
        for picture in workers.map(lambda one: shrink(*one), wanted):
            pictures.append(picture)
            show(len(pictures), "figures")
        return pictures


def _encoded(image: Image.Image, **how: int) -> bytes:
    content = io.BytesIO()
    image.save(content, "webp", **how)
    return content.getvalue()
