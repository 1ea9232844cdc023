"""Training images varied at random: small affine changes, and the ways people write 0, 1 and 7.

LeCun et al. 1998, section III.B, distort the training digits by planar affine transformations. MNIST
was written by Americans; a slash through the zero, a bar through the seven and a flag on the one are
common elsewhere and nearly absent from it, so they can be drawn over a share of the training digits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lenet_core.recipes import Augmentation

_CHUNK = 5_000  # images at a time: bounds the memory, a few hundred MB otherwise


def augment(images: Tensor, labels: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """A varied copy of the images: (N, C, H, W) floats from 0 to 1, as they came in.

    `labels` (N,) say which images are zeros, ones and sevens. `generator` is a CPU generator; the same
    state gives the same images on every device.
    """
    images = images.clone()
    for digit, share, strokes in (
        (0, how.slashed_zeros, _slashes),
        (1, how.flagged_ones, _flags),
        (7, how.crossed_sevens, _bars),
    ):
        chosen = (labels == digit).nonzero()[:, 0]
        if share and len(chosen):
            kept = torch.rand(len(chosen), generator=generator) < share
            chosen = chosen[kept.to(chosen.device)]
            images[chosen] = _recentre(_draw(images[chosen], *strokes(images[chosen], generator), generator))
    if how.shift or how.rotation or how.shear or how.scale != 1 or how.aspect != 1:
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            theta = _affine(len(chunk), chunk.shape[-1], how, generator).to(chunk.device)
            grid = F.affine_grid(theta, list(chunk.shape), align_corners=False)
            images[start : start + _CHUNK] = F.grid_sample(chunk, grid, align_corners=False)
    return images


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _affine(count: int, size: int, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Matrices (count, 2, 3) from output to input coordinates, as `affine_grid` takes them."""
    angle = _uniform(count, -math.radians(how.rotation), math.radians(how.rotation), generator)
    shear = _uniform(count, -how.shear, how.shear, generator)
    scale = torch.exp(_uniform(count, -math.log(how.scale), math.log(how.scale), generator))
    aspect = torch.exp(_uniform(count, -math.log(how.aspect) / 2, math.log(how.aspect) / 2, generator))
    x_shift = _uniform(count, -how.shift, how.shift, generator) * 2 / size
    y_shift = _uniform(count, -how.shift, how.shift, generator) * 2 / size
    cos, sin = torch.cos(angle), torch.sin(angle)
    across, down = scale * aspect, scale / aspect
    first = torch.stack([cos * across, (shear * cos - sin) * down, x_shift], dim=1)
    second = torch.stack([sin * across, (shear * sin + cos) * down, y_shift], dim=1)
    return torch.stack([first, second], dim=1)


# Each of these gives the two ends of a stroke for every image, as (N, 2) rows and columns in pixels.


def _slashes(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """From lower left to upper right through the middle of a zero, a little beyond its rim."""
    count = len(images)
    angle = _uniform(count, math.radians(35), math.radians(70), generator)
    reach = _uniform(count, 7, 11, generator)
    middle = torch.full((count, 2), 14.0) + torch.stack([_uniform(count, -1, 1, generator)] * 2, dim=1)
    along = torch.stack([-torch.sin(angle), torch.cos(angle)], dim=1) * reach[:, None]
    return middle - along, middle + along


def _bars(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Across the stem of a seven, about half-way down."""
    count = len(images)
    row = _uniform(count, 13, 16, generator)
    rows = images[:, 0, 13:17].sum(dim=1).cpu()
    stem = (rows * torch.arange(rows.shape[1])).sum(dim=1) / rows.sum(dim=1).clamp(min=1e-6)
    angle = _uniform(count, -0.3, 0.2, generator)
    reach = _uniform(count, 3, 5.5, generator)
    along = torch.stack([torch.sin(angle), torch.cos(angle)], dim=1) * reach[:, None]
    middle = torch.stack([row, stem], dim=1)
    return middle - along, middle + along


def _flags(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """From the top of a one down to the left."""
    count = len(images)
    ink = images[:, 0].cpu() > 0.4
    top = ink.any(dim=2).float().argmax(dim=1)
    top_row = ink[torch.arange(count), top].float()
    column = (top_row * torch.arange(top_row.shape[1])).sum(dim=1) / top_row.sum(dim=1).clamp(min=1)
    angle = _uniform(count, math.radians(25), math.radians(65), generator)
    length = _uniform(count, 4, 8.5, generator)
    start = torch.stack([top + 0.5, column], dim=1)
    return start, start + torch.stack([torch.sin(angle), -torch.cos(angle)], dim=1) * length[:, None]


def _draw(images: Tensor, start: Tensor, end: Tensor, generator: torch.Generator) -> Tensor:
    """The images with an anti-aliased stroke from `start` to `end` laid over each."""
    width = _uniform(len(images), 1.4, 2.6, generator)
    size = images.shape[-1]
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    points = torch.stack([rows, columns], dim=-1).reshape(1, -1, 2)
    along = (end - start)[:, None]
    position = ((points - start[:, None]) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-6)
    nearest = start[:, None] + position.clamp(0, 1)[..., None] * along
    distance = (points - nearest).square().sum(-1).sqrt()
    stroke = (width[:, None] / 2 + 0.5 - distance).clamp(0, 1).reshape(-1, 1, size, size)
    return torch.maximum(images, stroke.to(images.device))


def _recentre(images: Tensor) -> Tensor:
    """The images moved by whole pixels so that their centre of mass is MNIST's again."""
    size = images.shape[-1]
    places = torch.arange(size, device=images.device)
    total = images.sum(dim=(1, 2, 3)).clamp(min=1e-6)
    row = (images.sum(dim=(1, 3)) * places).sum(dim=1) / total
    column = (images.sum(dim=(1, 2)) * places).sum(dim=1) / total
    middle = size // 2
    row_index = (places[None] + (row - middle).round()[:, None]).long() % size
    column_index = (places[None] + (column - middle).round()[:, None]).long() % size
    batch = torch.arange(len(images), device=images.device)
    return images[batch[:, None, None], :, row_index[:, :, None], column_index[:, None, :]].permute(0, 3, 1, 2)
