"""Which device computes: CUDA where there is one, then Apple's MPS, then the CPU."""

from __future__ import annotations

import torch

from lenet_core.bounds import shorten

DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(choice: str = "auto") -> torch.device:
    """The chosen device, or the best one present for "auto".

    Raises:
        ValueError: no such choice, or this machine has no such device.
    """
    if choice not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {shorten(choice)}.")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if choice == "auto":
        choice = next(name for name, there in present.items() if there)
    if not present[choice]:
        there = ", ".join(name for name, has in present.items() if has)
        raise ValueError(f"This machine has no {choice} that PyTorch can use; it has {there}.")
    return torch.device(choice)


def device_title(device: torch.device) -> str:
    """The device as a person would name it: `CPU`, `NVIDIA H100`, `Apple GPU (MPS)`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"mps": "Apple GPU (MPS)"}.get(device.type, device.type.upper())
