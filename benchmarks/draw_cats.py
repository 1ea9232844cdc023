"""Four cats: a face, one that sits, one that lies, one that walks.

A head is drawn around (0, 0), one unit from its middle to its cheek, and put where it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.drawing import (
    SIDE,
    Colour,
    Floats,
    Flow,
    Picture,
    Points,
    above,
    between,
    columns,
    ellipse,
    lay,
    lit,
    mask,
    mirrored,
    plain,
    points,
    ribbon,
    roundness,
    rows,
    slope,
    smooth,
    turned,
)

_SKULL = mirrored(points("0,-.74 .4,-.74 .78,-.5 .97,-.08 1,.22 .86,.52 .56,.72 .26,.86 0,.88"))
_EAR = points(".2,-.62 .46,-.94 .8,-1.22 .87,-1.21 .97,-.88 1,-.5 .95,-.16")
_INNER_EAR = points(".46,-.7 .62,-.9 .82,-1.1 .9,-.84 .9,-.48")
_EYE = points("-.24,.06 -.1,-.13 .06,-.18 .2,-.1 .26,.0 .16,.13 0,.18 -.14,.15")
_MARKS = (  # the lines of a tabby's head, on the right half
    "0,-.78 .01,-.4", ".16,-.76 .15,-.42 .24,-.28", ".36,-.72 .37,-.44 .5,-.3",
    ".68,.0 .86,.1 1,.08", ".6,.2 .78,.34 .98,.36", ".52,.42 .66,.54 .82,.56",
)  # fmt: skip


@dataclass(frozen=True)
class Coat:
    """A cat's colours; `stripes` is how strongly `mark` shows on `base`."""

    base: Colour
    mark: Colour
    light: Colour
    eyes: Colour
    stripes: float = 0.0
    bib: float = 0.0  # how strongly `light` shows on muzzle and chest
    dark: float = 0.0  # how strongly `mark` shows on face and ears


@dataclass(frozen=True)
class Head:
    """Where a head is: its middle, half its width, its tilt, and how far the face looks aside."""

    x: float
    y: float
    size: float
    tilt: float = 0.0
    turn: float = 0.0

    def put(self, outline: Points, feature: bool = False) -> Points:
        """Points of the drawn head as points of the picture; a feature is moved aside with the look."""
        moved = outline + (self.turn * feature, 0)
        return turned(moved, self.tilt) * self.size + (self.x, self.y)

    def both(self, outline: Points, feature: bool = True) -> list[Points]:
        """The same for something that a head has twice, given on its right."""
        return [self.put(side, feature) for side in (outline, outline * (-1, 1))]


def away(x: float, y: float) -> Flow:
    """Fur that lies away from a point."""
    return lambda roots: roots - (x, y)


def along(dx: float, dy: float) -> Flow:
    """Fur that lies in one direction."""
    return lambda roots: np.broadcast_to(np.array((dx, dy), float), roots.shape).copy()


def head(picture: Picture, coat: Coat, where: Head) -> None:
    """Paints a whole head, ears to whiskers."""
    size = where.size
    for ear, inner in zip(where.both(_EAR, False), where.both(_INNER_EAR, False), strict=True):
        shape = mask(smooth(ear, closed=False))
        colours = plain(coat.base)
        lay(colours, shape, coat.mark, coat.dark)
        colours = lit(colours, roundness(shape, size * 0.2) * 0.6)
        lay(colours, mask(smooth(inner), blur=size * 0.03), between((0.86, 0.6, 0.54), coat.base, shape * 0.25))
        middle = ear.mean(axis=0)
        picture.fur(shape, colours, along(*(ear[2] - middle)), size * 0.09, 0.08)
    skull = mask(smooth(where.put(_SKULL)))
    colours = plain(coat.base)
    _markings(colours, coat, where)
    picture.paint(mask(smooth(where.put(_SKULL + (0.04, 0.1))), blur=size * 0.1), (0.05, 0.04, 0.05), 0.35)
    picture.fur(skull, lit(colours, _relief(where, skull)), away(*where.put(points("0,.2"), True)[0]), size * 0.1)
    _eyes(picture, coat, where)
    _nose(picture, where)
    _whiskers(picture, where)


def _relief(where: Head, skull: Floats) -> Floats:
    """The light on a head: round as a whole, hollow beside the nose, full at the muzzle."""
    size = where.size
    muzzle = mask(*where.both(ellipse(0.2, 0.5, 0.25, 0.2)), blur=size * 0.03)
    hollow = mask(*where.both(ellipse(0.2, 0.16, 0.09, 0.26, 0.25)), blur=size * 0.08)
    brow = mask(*where.both(ellipse(0.42, -0.26, 0.26, 0.1, 0.2)), blur=size * 0.06)
    bridge = mask(where.put(ellipse(0, 0.08, 0.1, 0.3), True), blur=size * 0.06)
    whole = roundness(skull, size * 0.3) * 0.5 + roundness(muzzle, size * 0.1) * 0.3
    light: Floats = np.maximum(whole, -0.35) - hollow * 0.22 + brow * 0.16 + bridge * 0.16
    return light


def _markings(colours: Floats, coat: Coat, where: Head) -> None:
    """Lays a face's pattern over the colours of its fur: a tabby's lines, dark points, light muzzle."""
    size = where.size
    width = np.array((0.03, 0.11, 0.09, 0.02)) * size
    lines = [ribbon(side, width) for text in _MARKS for side in where.both(points(text))]
    lay(colours, mask(*lines, blur=size * 0.02), coat.mark, coat.stripes)
    veil = smooth(mirrored(points("0,-.42 .3,-.3 .66,-.2 .74,.1 .58,.5 .3,.84 0,.9")))
    lay(colours, mask(where.put(veil, True), blur=size * 0.1), coat.mark, coat.dark)
    around = mask(*where.both(ellipse(0.42, -0.02, 0.36, 0.29, 0.1)), blur=size * 0.05)
    lay(colours, around, coat.light, 0.35 * max(coat.stripes, coat.bib))
    blaze = mask(where.put(smooth(mirrored(points("0,-.5 .05,-.2 .12,.2 .5,.4 .55,.66 .3,.9 0,.95"))), True))
    soft = np.minimum(blaze, mask(*where.both(ellipse(0.22, 0.54, 0.34, 0.26)), blur=size * 0.06))
    muzzle = mask(
        *where.both(ellipse(0.2, 0.52, 0.3, 0.23)), where.put(ellipse(0, 0.78, 0.24, 0.16), True), blur=size * 0.05
    )
    lay(colours, np.maximum(soft * (coat.stripes == 0), muzzle), coat.light, max(coat.bib, 0.85 * coat.stripes))


def _eyes(picture: Picture, coat: Coat, where: Head) -> None:
    size = where.size
    for side in (1, -1):
        place = (0.42 * side, -0.02)
        outline = smooth(turned(_EYE * 0.9, -0.12) * (side, 1))
        eye = mask(where.put(outline + place, True))
        rim = mask(where.put(outline * 1.14 + place, True), blur=size * 0.02)
        picture.paint(rim, (0.06, 0.05, 0.05), 0.95)
        middle = where.put(np.array([place]), True)[0]
        far = np.hypot(columns - middle[0], rows - middle[1]) / (size * 0.22)
        iris = between(coat.eyes, np.asarray(coat.eyes) * 0.4, np.clip(far, 0, 1) ** 2)
        lower = slope(middle[1] - size * 0.15, middle[1] + size * 0.18)[..., None]
        picture.paint(eye, np.asarray(iris * (0.55 + 0.75 * lower), np.float32))
        picture.paint(mask(where.put(ellipse(*place, 0.075, 0.165), True)) * eye, (0.02, 0.02, 0.03))
        glint = place[0] - 0.06, place[1] - 0.08
        picture.paint(mask(where.put(ellipse(*glint, 0.045, 0.05), True), blur=size * 0.006), (1, 1, 1), 0.95)


def _nose(picture: Picture, where: Head) -> None:
    size = where.size
    outline = smooth(mirrored(points("0,.3 .1,.3 .13,.34 .05,.44 0,.46")))
    picture.round(mask(where.put(outline, True), blur=size * 0.01), (0.8, 0.46, 0.44), size * 0.06, 0.7)
    width = np.array((0.03, 0.035, 0.012)) * size
    mouth = [ribbon(where.put(points("0,.44 0,.52 0,.56"), True), width)]
    mouth += [ribbon(line, width) for line in where.both(points("0,.55 .1,.62 .22,.62 .3,.56"))]
    picture.paint(mask(*mouth, blur=size * 0.008), (0.2, 0.12, 0.12), 0.75)
    dots = [
        side for x, y in points(".22,.46 .31,.5 .27,.54 .36,.44") for side in where.both(ellipse(x, y, 0.014, 0.014))
    ]
    picture.paint(mask(*dots), (0.2, 0.14, 0.12), 0.5)


def _whiskers(picture: Picture, where: Head) -> None:
    ends = points("1.3,.2 1.42,.4 1.4,.6 1.26,.82")
    lines = [
        ribbon(side, np.array((0.022, 0.015, 0.004)) * where.size)
        for number, end in enumerate(ends)
        for side in where.both(np.array([(0.28, 0.46 + 0.04 * number), (0.8, 0.34 + 0.13 * number), end]))
    ]
    picture.paint(mask(*lines), (1, 0.99, 0.96), 0.85)


def body(
    picture: Picture, shape: Floats, coat: Coat, flow: Flow, radius: float,
    stripes: tuple[Points, ...] = (), light: tuple[Points, ...] = (), wide: float = 4,
) -> None:  # fmt: skip
    """Paints a part of a cat in fur, with lines in the coat's mark and areas in its light colour."""
    colours = plain(coat.base)
    if light:
        lay(colours, mask(*light, blur=2), coat.light, max(coat.bib, 0.7 * coat.stripes))
    if stripes:
        lines = [ribbon(stripe, (0.3 * wide, wide, 0.8 * wide, 0.2 * wide)) for stripe in stripes]
        lay(colours, mask(*lines, blur=0.7), coat.mark, coat.stripes)
    picture.fur(shape, lit(colours, roundness(shape, radius) * 0.75), flow, 3.6, 0.09)


GINGER = Coat((0.86, 0.56, 0.28), (0.56, 0.27, 0.09), (0.98, 0.92, 0.84), (0.5, 0.72, 0.3), stripes=0.9)
GREY = Coat((0.5, 0.51, 0.55), (0.2, 0.2, 0.24), (0.93, 0.93, 0.94), (0.93, 0.72, 0.2), stripes=0.85)
TUXEDO = Coat((0.17, 0.16, 0.18), (0, 0, 0), (0.96, 0.95, 0.93), (0.72, 0.85, 0.3), bib=1.0)
SIAMESE = Coat((0.93, 0.85, 0.73), (0.3, 0.2, 0.16), (0.99, 0.95, 0.9), (0.35, 0.66, 0.95), dark=0.9)
POINTS = replace(SIAMESE, base=SIAMESE.mark)


def room(picture: Picture, wall: Colour, floor: Colour, height: float) -> None:
    """A wall in the light of a window, and a floor from `height` down."""
    glow = np.clip(1 - np.hypot(columns - 20, rows - 10) / 230, 0, 1)
    picture.pixels[:] = between(np.asarray(wall) * 0.65, wall, glow)
    near = between(np.asarray(floor) * 0.75, floor, slope(height, SIDE) * (1 - columns / SIDE * 0.4))
    picture.paint(1 - above(height, 2), near)
    picture.shadow(points(f"0,{height - 3} 192,{height - 3} 192,{height} 0,{height}"), blur=2, alpha=0.35)


def face() -> Picture:
    """A ginger tabby looks at the camera."""
    picture = Picture(1)
    glow = np.clip(1 - np.hypot(columns - 20, rows - 20) / 240, 0, 1)
    picture.pixels[:] = between((0.12, 0.2, 0.24), (0.45, 0.6, 0.62), glow)
    for x, y, size in ((25, 40, 20), (168, 30, 16), (150, 80, 12), (30, 110, 15), (182, 120, 18), (60, 14, 11)):
        picture.paint(mask(ellipse(x, y, size, size), blur=3), (0.75, 0.85, 0.75), 0.14)
    chest = smooth(points("18,212 30,160 46,128 96,110 146,128 162,160 174,212 96,240"))
    bib = (smooth(points("66,150 96,140 126,150 122,200 96,215 70,200")),)
    bars = tuple(points(text) for text in ("30,172 46,166 58,170", "162,172 146,166 134,170"))
    body(picture, mask(chest), GINGER, along(0, 1), 16, bars, bib, wide=8)
    head(picture, GINGER, Head(96, 94, 64))
    return picture


def sitting() -> Picture:
    """A grey tabby sits on a wooden floor."""
    picture = Picture(2)
    room(picture, (0.93, 0.86, 0.74), (0.68, 0.48, 0.32), 142)
    picture.shadow(ellipse(122, 174, 62, 9, 0.05), blur=5, alpha=0.6)
    tail = points("126,166 150,171 172,168 181,156 174,145")
    body(picture, mask(ribbon(tail, (13, 13, 12, 8))), GREY, along(1, -0.2), 5, rings(tail, 12), wide=4)
    trunk = smooth(points("62,76 92,72 114,92 132,120 143,148 138,170 108,175 78,174 64,150 57,110"))
    bars = tuple(points(text) for text in (
        "104,84 100,98 90,106", "116,98 108,114 96,120", "126,112 116,128 102,134", "134,130 126,140 116,142",
    ))  # fmt: skip
    body(picture, mask(trunk), GREY, along(0.25, 1), 14, bars, (smooth(points("58,80 86,80 88,112 76,136 60,116")),))
    thigh = smooth(points("104,142 122,128 138,140 142,160 132,174 104,177 96,166"))
    body(
        picture,
        mask(thigh),
        GREY,
        along(0.3, 1),
        8,
        (points("108,148 120,142 134,150"), points("106,160 120,154 136,162")),
    )
    for x in (83, 64):
        leg = smooth(points("2,-12 14,-12 17,10 15,34 17,54 15,62 -3,62 -5,55 0,34 -1,10") + (x, 114))
        bars = (points(f"{x},136 {x + 15},138"), points(f"{x},150 {x + 15},151"))
        body(
            picture,
            mask(leg) * slope(100, 126),
            GREY,
            along(0, 1),
            4,
            bars,
            (ellipse(x + 6, 175, 13, 7), ellipse(x + 8, 104, 14, 12)),
        )
    head(picture, GREY, Head(76, 58, 35, tilt=-0.06, turn=-0.06))
    return picture


def lying() -> Picture:
    """A Siamese lies on a blue blanket."""
    picture = Picture(3)
    room(picture, (0.5, 0.46, 0.44), (0.2, 0.34, 0.62), 104)
    picture.shadow(ellipse(108, 152, 80, 12), blur=6, alpha=0.6)
    trunk = smooth(points("46,112 66,88 100,78 136,82 164,102 174,130 166,150 136,155 90,155 56,152 42,138"))
    body(picture, mask(trunk), SIAMESE, along(1, 0.5), 18)
    haunch = smooth(points("124,116 144,104 164,116 172,138 162,154 130,155 118,140"))
    body(picture, mask(haunch), SIAMESE, along(0.6, 1), 9)
    tail = points("168,138 176,152 158,163 126,162 104,156")
    body(picture, mask(ribbon(tail, (12, 13, 12, 7))), POINTS, along(-1, 0.1), 5)
    for paw in ("64,140 42,149 24,150", "92,140 66,156 42,159"):
        body(picture, mask(ribbon(points(paw), (17, 15, 14, 13))), SIAMESE, along(-1, 0.1), 5)
        x, y = points(paw)[-1]
        body(picture, mask(ellipse(x - 1, y, 9.5, 7)), POINTS, along(-1, 0), 4)
    head(picture, SIAMESE, Head(62, 90, 36, tilt=-0.05, turn=-0.04))
    return picture


def walking() -> Picture:
    """A black and white cat walks over a lawn, its tail up."""
    picture = Picture(4)
    picture.pixels[:] = between((0.62, 0.78, 0.86), (0.8, 0.86, 0.78), slope(0, 90))
    bushes = smooth(points("-10,60 20,44 50,58 80,40 120,54 150,36 200,50 210,120 -10,120"))
    picture.paint(mask(bushes, blur=5), lit((0.56, 0.7, 0.5), picture.noise(14, 12) * 0.35))
    lawn = 1 - above(104, 4)
    picture.paint(lawn, (0.5, 0.7, 0.3))
    picture.fur(
        lawn,
        lit(between((0.56, 0.72, 0.36), (0.36, 0.58, 0.2), slope(100, SIDE)), picture.noise(30, 10) * 0.2),
        along(0.1, -1),
        4,
        0.12,
    )
    picture.shadow(ellipse(112, 166, 64, 7), blur=4, alpha=0.55)
    tail = points("148,92 164,82 168,58 164,34 172,20")
    body(picture, mask(ribbon(tail, (13, 11, 10, 9, 7))), TUXEDO, along(0.1, -1), 5)
    far = ("78,112 84,138 90,160", "140,112 130,138 124,160")
    near = ("66,98 62,134 54,164", "140,98 149,136 152,164")
    for leg in far:
        _leg(picture, points(leg), 0.7)
    trunk = smooth(points("48,84 70,80 100,86 130,82 152,88 158,106 146,124 120,126 92,130 66,128 50,112"))
    body(picture, mask(trunk), TUXEDO, along(1, 0.25), 14, light=(smooth(points("44,92 58,92 66,116 64,132 48,120")),))
    for leg in near:
        _leg(picture, points(leg), 1)
    head(picture, TUXEDO, Head(48, 72, 29, tilt=-0.04, turn=-0.08))
    return picture


def _leg(picture: Picture, spine: Points, bright: float) -> None:
    coat = replace(TUXEDO, base=np.asarray(TUXEDO.base) * bright, light=np.asarray(TUXEDO.light) * bright)
    x, y = spine[-1]
    foot = ellipse(x - 4, y + 1, 9, 5)
    body(
        picture,
        mask(ribbon(spine, (24, 18, 12, 11))) * slope(98, 126),
        coat,
        along(0, 1),
        8,
        light=(ellipse(x, y, 14, 13),),
    )
    body(picture, mask(foot), replace(coat, base=coat.light), along(-1, 0.2), 3)


def rings(spine: Points, width: float) -> tuple[Points, ...]:
    """Short lines across a tail."""
    line = smooth(spine, closed=False)[4::7]
    run = np.gradient(line, axis=0)
    side = np.stack([-run[:, 1], run[:, 0]], axis=1) / np.hypot(*run.T)[:, None] * width / 2
    return tuple(np.array(ends) for ends in zip(line - side, line, line + side, strict=True))
