"""Four cars: a saloon from the side, one from the front, one from a corner, a hatchback.

Each is drawn in pixels of the finished picture, from the road up: shadow, body, windows, lights, wheels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.drawing import (
    SIDE,
    Colour,
    Floats,
    Picture,
    Points,
    above,
    between,
    columns,
    ellipse,
    lit,
    mask,
    mirrored,
    points,
    ribbon,
    rows,
    slope,
    smooth,
)

_RUBBER = (0.07, 0.07, 0.08)
_SILVER = (0.78, 0.79, 0.82)
_PANE = points("-3,-4.5 3,-4.5 3,4.5 -3,4.5")  # a window of a house


def road(picture: Picture, horizon: float, kerb: float) -> None:
    """Sky, trees out of focus, a verge, and asphalt from `kerb` down."""
    picture.pixels[:] = between((0.45, 0.66, 0.9), (0.9, 0.94, 0.96), slope(0, horizon))
    clouds = np.clip(picture.noise(44, 16) * 1.4 - 0.25, 0, 1) * above(horizon - 22, 40)
    picture.paint(clouds, (1, 1, 1), 0.8)
    crowns = [ellipse(x, horizon - 3 - 4 * (x % 3), 17, 13 + x % 5) for x in range(-6, 210, 19)]
    picture.paint(mask(*crowns, blur=2.5), lit((0.5, 0.63, 0.44), picture.noise(9, 8) * 0.35))
    picture.paint(1 - above(horizon + 4, 3), between((0.6, 0.72, 0.4), (0.5, 0.62, 0.32), slope(horizon, kerb)))
    asphalt = between((0.56, 0.56, 0.58), (0.4, 0.4, 0.43), slope(kerb, SIDE))
    picture.paint(1 - above(kerb, 0.7), lit(asphalt, picture.noise(2, 1.2) * 0.05 + picture.noise(40, 10) * 0.05))
    picture.paint(above(kerb + 1.6, 0.6) - above(kerb - 1.6, 0.6), (0.8, 0.8, 0.78), 0.9)


def street(picture: Picture) -> None:
    """Houses out of focus on both sides of a street."""
    picture.pixels[:] = between((0.6, 0.76, 0.94), (0.93, 0.95, 0.97), slope(0, 80))
    for left, right, top, tone in ((-5, 40, 18, 0.8), (38, 62, 46, 0.72), (134, 160, 40, 0.62), (156, 200, 8, 0.7)):
        house = points(f"{left},{top} {right},{top + 4} {right},110 {left},110")
        picture.paint(mask(house, blur=1.2), np.array((1.0, 0.88, 0.74)) * tone)
        panes = [_PANE + (x, y) for x in range(left + 9, right - 4, 11) for y in range(top + 16, 90, 19)]
        picture.paint(mask(*panes, blur=0.8), (0.3, 0.34, 0.42), 0.7)
    asphalt = between((0.62, 0.62, 0.63), (0.42, 0.42, 0.45), slope(104, SIDE))
    picture.paint(1 - above(106, 2), lit(asphalt, picture.noise(2, 1.2) * 0.05))


def wheel(picture: Picture, put: Callable[[Points], Points], radius: float, spokes: int = 5) -> None:
    """A tyre with a rim; `put` brings a disc of radius 1 around (0, 0) into the picture, `radius` pixels high."""

    def disc(share: float) -> Points:
        return put(ellipse(0, 0, share, share))

    picture.round(mask(disc(1)), _RUBBER, radius * 0.25, 0.5)
    picture.paint(mask(disc(0.69)), (0.17, 0.17, 0.19))
    arms = []
    for angle in np.arange(spokes) * 2 * np.pi / spokes - np.pi / 2:
        way = np.array((np.cos(angle), np.sin(angle)))
        arms.append(put(ribbon(np.array((way * 0.05, way * 0.4, way * 0.66)), (0.26, 0.17, 0.2))))
    ring = np.clip(mask(disc(0.7)) - mask(disc(0.59)), 0, 1)
    picture.round(np.maximum(mask(*arms), ring), _SILVER, radius * 0.1, 0.6)
    picture.round(mask(disc(0.15)), _SILVER, radius * 0.1, 0.8)


def side_wheel(picture: Picture, x: float, y: float, radius: float, spokes: int = 5) -> None:
    """A wheel as seen from the side, in its dark arch."""
    picture.paint(mask(ellipse(x, y - 2, radius * 1.2, radius * 1.2)) * above(y + radius * 0.3, 1), (0.03, 0.03, 0.03))
    wheel(picture, lambda disc: disc * radius + (x, y), radius, spokes)


def paintwork(colour: Colour, top: float, belt: float, bottom: float) -> Floats:
    """A car's side: sky mirrored in the shoulder, the colour's own below it, dark towards the sill."""
    height = (rows - top) / (bottom - top)
    crease = np.exp(-(((rows - belt) / 2.2) ** 2)) * 0.55
    light = 0.4 - 0.95 * np.clip(height, 0, 1) ** 1.3 + crease + (0.12 - columns / SIDE * 0.2)
    under = np.clip((rows - belt) / 5, 0, 1) * np.clip(1 - (rows - belt) / 18, 0, 1) * 0.3
    return lit(colour, np.clip(light - under, -0.85, 0.85))


def glass(picture: Picture, *panes: Points, top: float, bottom: float) -> None:
    """Windows: dark inside, the sky in their upper half, and a streak of light across."""
    shape = mask(*panes)
    picture.paint(mask(*panes, blur=0.5), (0.05, 0.06, 0.07))
    picture.paint(shape, between((0.5, 0.62, 0.72), (0.08, 0.1, 0.13), slope(top, bottom)))
    streak = np.abs(((columns + rows * 0.7) % 47) - 20) < 6
    picture.paint(shape * streak, (0.85, 0.93, 1), 0.2)


def lines(
    picture: Picture, *spines: Points, width: float = 0.7, colour: Colour = (0.03, 0.03, 0.04), alpha: float = 0.6
) -> None:
    """Thin lines, such as the gaps around a door."""
    picture.paint(mask(*[ribbon(spine, (width, width)) for spine in spines]), colour, alpha)


def saloon() -> Picture:
    """A red saloon on a country road, from the side."""
    picture = Picture(11)
    road(picture, 84, 118)
    picture.shadow(ellipse(98, 150, 86, 7), blur=3, alpha=0.75)
    red = (0.8, 0.09, 0.1)
    hull = smooth(points(
        "12,128 12,116 16,106 34,100 56,97 76,78 92,72 116,71 134,77 154,97 176,100 182,104 184,118 "
        "183,134 178,141 160,142 100,142 40,142 20,142 14,138"
    ))  # fmt: skip
    picture.paint(mask(hull), paintwork(red, 70, 106, 144))
    front_pane = smooth(points("64,97 64,97 80,81 94,76.5 104,76 104,76 105,97 105,97"))
    rear_pane = smooth(points("109,97 109,97 108.5,76 108.5,76 120,77 132,82 145,96 145,96"))
    glass(picture, front_pane, rear_pane, top=74, bottom=100)
    lines(
        picture,
        *map(points, ("107,98 107,120 105,140", "62,100 62,124 66,140", "146,99 142,112 134,126", "60,140 136,140")),
    )
    lines(picture, *map(points, ("16,133 60,136 136,136 182,132",)), width=1.6, alpha=0.35)
    lines(picture, *map(points, ("92,104 101,104", "128,104 137,104")), width=1.8, colour=(0.95, 0.75, 0.75), alpha=0.9)
    picture.round(mask(smooth(points("60,94 67,92 70,98 62,100"))), red, 2, 0.7)
    picture.round(mask(smooth(points("14,111 20,106 32,104 28,111 16,115"))), (0.97, 0.97, 0.9), 2.5, 0.5)
    picture.round(mask(smooth(points("183,106 176,104 168,106 172,112 184,115"))), (0.55, 0.02, 0.04), 2.5, 0.6)
    for x in (46, 150):
        side_wheel(picture, x, 140, 16)
    return picture


def front() -> Picture:
    """A blue car from the front, in a street."""
    picture = Picture(12)
    street(picture)
    picture.shadow(ellipse(98, 164, 74, 9), blur=4, alpha=0.8)
    blue = (0.1, 0.3, 0.72)
    for x in (47.0, 145.0):
        tyre = smooth(points("-12,-22 12,-22 13,0 12,18 -12,18 -13,0") + (x, 148))
        picture.round(mask(tyre), _RUBBER, 4, 0.5)
    cabin = _upright("0,44 32,46 44,50 58,84 60,92 0,94")
    hull = _upright("0,80 40,80 58,84 68,96 71,120 70,146 64,156 0,158")
    picture.paint(mask(cabin), paintwork(blue, 40, 52, 130))
    glass(picture, _upright("0,50 34,51.5 39,55 51,82 51,85 0,85"), top=46, bottom=96)
    lines(picture, *map(points, ("60,84 84,80", "100,84 124,80")), width=1)
    for side in (1, -1):
        mirror = smooth(points("0,0 8,-5 15,-2 14,6 3,7") * (side, 1) + (96 + side * 58, 82))
        picture.round(mask(mirror), blue, 3, 0.7)
    picture.paint(mask(hull), paintwork(blue, 78, 99, 172))
    picture.paint(mask(_upright("0,84 36,84 50,88 58,97 0,101"), blur=1.5), (0.65, 0.8, 1), 0.25)
    grille = _upright("0,108 30,108 33,112 27,122 0,123")
    picture.paint(mask(grille), (0.04, 0.04, 0.05))
    lines(picture, *(points(f"67,{y} 125,{y}") for y in (111.5, 115.5, 119.5)), width=1.2, colour=_SILVER, alpha=0.8)
    picture.round(mask(ellipse(96, 115.5, 5, 5)), _SILVER, 2, 0.8)
    picture.paint(mask(_upright("0,135 46,134 52,139 46,150 0,151")), (0.06, 0.06, 0.08))
    picture.paint(mask(points("78,129 114,129 114,138 78,138")), (0.95, 0.95, 0.92))
    lines(picture, *map(points, ("83,133.5 109,133.5",)), width=3.4, colour=(0.2, 0.2, 0.25), alpha=0.7)
    for side in (1, -1):
        lamp = smooth(points("36,108 50,103 65,101 67,108 60,117 42,119") * (side, 1) + (96, 0))
        picture.paint(mask(lamp, blur=0.5), (0.1, 0.12, 0.16))
        for x, size in ((46.0, 5.5), (57.5, 6.0)):
            picture.round(mask(ellipse(96 + side * x, 110.5, size, size)), (0.97, 0.98, 0.94), 2, 0.4)
        picture.round(mask(ellipse(96 + side * 58, 142, 4.5, 4)), (0.9, 0.9, 0.84), 2, 0.5)
    return picture


def _upright(half: str) -> Points:
    """A smooth outline around the middle of the picture, from its right half."""
    return smooth(mirrored(points(half))) + (96, 0)


def corner() -> Picture:
    """A white car on a road, from its front corner."""
    picture = Picture(13)
    road(picture, 62, 80)
    white = (0.86, 0.87, 0.89)
    picture.shadow(seen("2.1,1.05,0 2.1,-.8,0 -2.2,-.8,0 -2.3,1.15,0"), blur=4, alpha=0.85)
    picture.paint(mask(seen("1.6,-.86,0 1.6,-.6,0 1.5,-.6,.4 1.5,-.86,.4"), blur=0.5), _RUBBER)
    _cabin(picture, white)
    flank = mask(smooth(seen(
        "2.06,.8,.26 2.08,.8,.5 2.0,.83,.72 1.4,.86,.88 .75,.86,.96 -.4,.86,1.0 -1.6,.86,1.02 -2.06,.84,.98 "
        "-2.16,.8,.7 -2.1,.82,.34 -1.7,.86,.24 0,.86,.2 1.6,.86,.22"
    )))  # fmt: skip
    picture.paint(flank, lit(white, 0.1 - slope(76, 140) * 0.75))
    crease = smooth(seen("1.9,.87,.66 1,.87,.76 -.8,.87,.84 -2.1,.84,.86"), closed=False)
    picture.paint(mask(ribbon(crease, (1, 3, 2, 1)), blur=1.2) * flank, (1, 1, 1), 0.5)
    _bonnet(picture, white)
    _doors(picture)
    for ahead in (1.32, -1.34):
        arch = mask(_wheel_at(ahead)(ellipse(0, -0.06, 1.24, 1.24)))
        picture.paint(arch * flank, (0.03, 0.03, 0.03))
        wheel(picture, _wheel_at(ahead), 15)
    return picture


def _cabin(picture: Picture, white: Colour) -> None:
    """Roof, windscreen and side windows."""
    picture.paint(mask(smooth(seen(
        ".95,.8,.94 .5,.72,1.2 .1,.6,1.42 -.6,.6,1.47 -1.2,.6,1.43 -1.8,.76,1.16 -2.08,.82,.98 -1,.86,.94"
    ))), lit(white, np.full_like(rows, -0.25)))  # fmt: skip
    shell = seen(
        ".95,.8,.94 .5,.72,1.2 .1,.6,1.42 -.6,.6,1.47 -1.2,.6,1.43 -1.2,-.6,1.43 .1,-.6,1.42 .5,-.72,1.2 .95,-.8,.94"
    )
    picture.paint(mask(shell, blur=0.4), lit(white, np.full_like(rows, 0.2)))
    screen = seen(".93,.72,.97 .5,.64,1.19 .16,.54,1.37 .16,-.54,1.37 .5,-.64,1.19 .93,-.72,.97")
    top, bottom = screen[:, 1].min(), screen[:, 1].max()
    glass(picture, _cut(screen), top=top - 4, bottom=bottom)
    panes = (
        ".6,.79,1.01 .02,.66,1.36 -.36,.65,1.39 -.4,.84,1.04",
        "-.5,.84,1.04 -.46,.65,1.39 -1.15,.66,1.36 -1.72,.8,1.07",
    )
    glass(picture, *(_cut(seen(pane)) for pane in panes), top=top - 4, bottom=bottom)


def _bonnet(picture: Picture, white: Colour) -> None:
    """Bonnet, grille, lamps and bumper."""
    bonnet = seen("2.06,.78,.72 1.4,.85,.88 .78,.84,.97 1.0,0,.98 .78,-.84,.97 1.4,-.85,.9 2.06,-.78,.74 2.2,0,.74")
    picture.paint(mask(smooth(bonnet), blur=0.4), lit(white, 0.75 - slope(82, 112) * 0.6))
    folds = "1.0,.5,.98 1.5,.51,.92 2.08,.45,.77", "1.0,-.5,.98 1.5,-.51,.92 2.08,-.45,.77"
    lines(picture, *map(seen, folds), width=1, alpha=0.15)
    nose = mask(smooth(seen(
        "2.02,.83,.7 2.2,.4,.74 2.22,0,.75 2.2,-.4,.74 2.04,-.83,.7 2.08,-.84,.48 2.04,-.82,.26 2.2,-.4,.2 2.22,0,.2 "
        "2.2,.4,.2 2.06,.83,.26 2.1,.84,.48"
    )))  # fmt: skip
    picture.paint(nose, lit(white, 0.3 - slope(98, 146) * 0.5))
    grille = smooth(seen("2.23,.34,.66 2.24,-.34,.66 2.24,-.28,.52 2.23,.28,.52"))
    intake = smooth(seen("2.2,.6,.38 2.23,0,.38 2.2,-.6,.38 2.2,-.5,.25 2.23,0,.24 2.2,.5,.25"))
    picture.paint(mask(grille, intake), (0.05, 0.05, 0.06))
    picture.paint(mask(seen("2.25,.24,.48 2.25,-.24,.48 2.25,-.24,.38 2.25,.24,.38")), (0.97, 0.95, 0.7))
    for side in (1, -1):
        lamp = points("2.2,.42,.69 2.06,.78,.72 1.9,.84,.75 2.04,.83,.62 2.18,.5,.58") * (1, side, 1)
        shape = mask(smooth(camera(lamp)))
        picture.paint(shape, (0.13, 0.15, 0.19))
        x, y = camera(points("2.13,.64,.66") * (1, side, 1))[0]
        picture.round(shape * mask(ellipse(x, y, 5, 4.4)), (0.98, 0.98, 0.9), 2, 0.4)


def _doors(picture: Picture) -> None:
    """The gaps around the doors, their handles, the mirror."""
    gaps = (
        ".72,.87,.96 .78,.87,.6 .7,.87,.26",
        "-.44,.87,1.0 -.44,.87,.6 -.44,.87,.26",
        "-1.5,.86,1.0 -1.4,.87,.75 -.95,.87,.5",
    )
    lines(picture, *map(seen, gaps), alpha=0.5)
    handles = "-.12,.88,.86 -.2,.88,.86 -.32,.88,.86", "-1.1,.88,.89 -1.2,.88,.89 -1.3,.88,.89"
    lines(picture, *map(seen, handles), width=1.6, alpha=0.6)
    x, y = seen(".62,1.0,1.04")[0]
    picture.round(mask(ellipse(x, y, 5, 3.8, 0.2)), (0.86, 0.87, 0.89), 3, 0.7)


def camera(spots: Points) -> Points:
    """Where (N, 3) points around a car, metres ahead, to its left and up, are in a picture of its front corner."""
    eye, aim = np.array((6.2, 4.6, 1.9)), np.array((0.0, 0.0, 0.6))
    ahead = (aim - eye) / np.linalg.norm(aim - eye)
    right = np.cross(ahead, (0, 0, 1))
    right /= np.linalg.norm(right)
    x, y, far = ((spots - eye) @ np.stack([right, np.cross(right, ahead), ahead], axis=1)).T
    return np.stack([105 + 318 * x / far, 116 - 318 * y / far], axis=1)


def seen(text: str) -> Points:
    """The same for points that are written down."""
    return camera(points(text))


def _wheel_at(ahead: float) -> Callable[[Points], Points]:
    radius, left = 0.34, 0.9  # metres
    return lambda disc: camera(np.array([(ahead - radius * x, left, radius - radius * y) for x, y in disc]))


def hatchback() -> Picture:
    """A yellow hatchback in front of a wall, from the side, facing right."""
    picture = Picture(14)
    glow = np.clip(1 - np.hypot(columns - 10, rows) / 260, 0, 1)
    picture.pixels[:] = lit(between((0.3, 0.42, 0.45), (0.62, 0.76, 0.76), glow), picture.noise(24, 18) * 0.06)
    lines(picture, *(points(f"-9,{y} 210,{y}") for y in (22, 52, 82)), width=1, alpha=0.15)
    pavement = between((0.66, 0.64, 0.6), (0.5, 0.49, 0.47), slope(112, SIDE))
    picture.paint(1 - above(112, 1), lit(pavement, picture.noise(2, 1.2) * 0.05))
    picture.shadow(points("0,108 192,108 192,112 0,112"), blur=2, alpha=0.4)
    picture.shadow(ellipse(100, 158, 84, 8), blur=3.5, alpha=0.75)
    yellow = (0.96, 0.74, 0.1)
    hull = smooth(points(
        "19,132 18,118 20,100 28,82 38,68 54,61 80,58 104,60 122,68 144,89 164,94 176,101 181,112 182,132 "
        "178,146 168,149 100,150 34,149 22,146"
    ))  # fmt: skip
    picture.paint(mask(hull), paintwork(yellow, 60, 104, 156))
    panes = (
        "35,90 42,74 56,66.5 62,66 63,91",
        "67,91 66,66 82,64.5 98,65.5 99,91",
        "103,91 102,66 116,71.5 136,90 130,92",
    )
    glass(picture, *(_cut(points(pane)) for pane in panes), top=62, bottom=94)
    lines(
        picture,
        *map(points, ("101,92 101,124 101,148", "65,92 65,116 58,126", "136,92 136,120 132,146", "66,148 132,148")),
    )
    lines(picture, *map(points, ("24,138 70,141 130,141 178,138",)), width=1.6, alpha=0.35)
    lines(picture, *map(points, ("70,99 79,99", "106,99 115,99")), width=2, colour=(0.4, 0.28, 0.05), alpha=0.7)
    picture.round(mask(smooth(points("134,85 141,83 143,90 134,91"))), yellow, 2, 0.7)
    picture.round(mask(smooth(points("180,112 174,104 160,100 164,108 178,115"))), (0.97, 0.97, 0.9), 2.5, 0.5)
    picture.round(mask(smooth(points("19,106 22,94 28,92 28,106 24,114 19,114"))), (0.66, 0.04, 0.05), 2.5, 0.6)
    for x in (52, 149):
        side_wheel(picture, x, 147, 17.5, spokes=7)
    return picture


def _cut(corners: Points) -> Points:
    """A pane with straight sides and corners slightly cut."""
    before, after = np.roll(corners, 1, axis=0) - corners, np.roll(corners, -1, axis=0) - corners
    return np.stack([corners + before * 0.1, corners + after * 0.1], axis=1).reshape(-1, 2)
