"""Draws the cats and cars of `assets/samples`.

    python -m benchmarks.make_samples

The same pixels each time; another version of NumPy or Pillow may round some of them differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PIL import Image

from benchmarks import draw_cars, draw_cats
from benchmarks.drawing import Picture
from lenet_core.samples import SAMPLES

DRAWN: dict[str, tuple[Callable[[], Picture], ...]] = {
    "cat": (draw_cats.face, draw_cats.sitting, draw_cats.lying, draw_cats.walking),
    "car": (draw_cars.saloon, draw_cars.front, draw_cars.corner, draw_cars.hatchback),
}


def main() -> None:
    SAMPLES.mkdir(parents=True, exist_ok=True)
    sizes = []
    for name, picture in drawn():
        path = SAMPLES / name
        picture.save(path, optimize=True)
        sizes.append(path.stat().st_size)
        print(f"{path.name} {sizes[-1]:,} bytes")
    print(f"in all {sum(sizes):,} bytes")


def drawn() -> Iterator[tuple[str, Image.Image]]:
    """Every picture with its file's name, drawn anew."""
    for kind, scenes in DRAWN.items():
        for number, scene in enumerate(scenes):
            yield f"{kind}-{number}.png", scene().finished()


if __name__ == "__main__":
    main()
