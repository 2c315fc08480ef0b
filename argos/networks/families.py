"""What the networks of the table are for and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """One network, or several whose names begin alike.

    Attributes:
        task: what their output serves for.
        source: the document that describes them, shortly.
    """

    task: Literal["proposal", "semantic", "instances"]
    source: str


_ASBUNET = "ASBU-Net paper (Bansal et al.)"
_RTSEG = "RT-Seg thesis (Kolhatkar 2020)"
_ESSNET = "ESSNet thesis (Vallurupalli 2022)"

FAMILIES = {
    "qunet": Family("proposal", "QU-Net thesis (Varma 2021)"),
    "qunet.": Family("proposal", "QU-Net thesis (Varma 2021), in full precision"),
    "asbunet": Family("semantic", _ASBUNET),
    "unet_lite": Family("semantic", "ARGOS, after the rivals in the ASBU-Net paper"),
    "unet.": Family("semantic", f"{_ASBUNET}, rival"),
    "fcn.": Family("semantic", f"{_RTSEG}, chapter 4"),
    "ssd_isb.": Family("instances", f"{_RTSEG}, chapters 3 and 5"),
    "erfnet": Family("semantic", "Romera et al. 2018, baseline of the ESSNet thesis"),
    "essnet_a": Family("semantic", f"{_ESSNET}, chapter 3"),
    "essnet_b": Family("semantic", f"{_ESSNET}, chapter 3"),
    "essnet": Family("semantic", f"{_ESSNET}, chapters 3 and 4"),
    "dual_aspp": Family("semantic", "Dual ASPP paper (Xiao et al.)"),
    "dynamic_unet": Family("semantic", "Verelst and Tuytelaars 2020, rival in the QU-Net thesis (Varma 2021)"),
    "wspdnet": Family("semantic", f"{_ESSNET}, chapter 4"),
}


def family_of(network: str) -> Family:
    """Look up a network of the table by its name, or by its part up to the dot."""
    return FAMILIES[network if network in FAMILIES else network[: network.find(".") + 1]]
