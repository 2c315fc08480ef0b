"""Every network by name; a weights card names one of these and the arguments it was built with."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from argos.networks.asbunet import asbunet
from argos.networks.dual_aspp import dual_aspp
from argos.networks.dynamic import dynamic_unet
from argos.networks.essnet import erfnet, essnet, essnet_a, essnet_b, wspdnet
from argos.networks.fcn import mobilenet_fcn, person_crop_fcn, squeezenet_fcn
from argos.networks.qunet import qunet, unet
from argos.networks.ssd_isb import (
    multi_shape,
    person_isb,
    single_branch,
    single_shape,
    single_shape_plus,
    ssd_mobilenet,
)
from argos.networks.unets import unet_lite
from argos.networks.unets_published import efficientnet_unet, mobilenet_v2_unet

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "qunet": qunet,
    "qunet.unet": unet,
    "asbunet": asbunet,
    "unet_lite": unet_lite,
    "unet.efficientnet": efficientnet_unet,
    "unet.mobilenet_v2": mobilenet_v2_unet,
    "fcn.squeezenet": squeezenet_fcn,
    "fcn.mobilenet": mobilenet_fcn,
    "fcn.person_crop": person_crop_fcn,
    "ssd_isb.person": person_isb,
    "ssd_isb.single_branch": single_branch,
    "ssd_isb.multi_shape": multi_shape,
    "ssd_isb.single_shape": single_shape,
    "ssd_isb.single_shape_plus": single_shape_plus,
    "ssd_isb.detector": ssd_mobilenet,
    "dual_aspp": dual_aspp,
    "erfnet": erfnet,
    "essnet_a": essnet_a,
    "essnet_b": essnet_b,
    "essnet": essnet,
    "wspdnet": wspdnet,
    "dynamic_unet": dynamic_unet,
}
