"""A network that gives NaN finds nobody, which looks like an empty scene: it is refused instead."""

from __future__ import annotations

from torch import Tensor

from argos.errors import WeightsError


def checked(values: Tensor, network: str) -> Tensor:
    """The values of a network as they are.

    Args:
        values: of any shape, floating.
        network: what gave them, for the message.

    Raises:
        WeightsError: one of them is NaN.
    """
    if bool(values.isnan().any()):
        raise WeightsError(
            f"the {network} network gives NaN: its weights are damaged or the device computes wrongly; "
            "argos models verify checks the weights, engine.device: cpu avoids the device"
        )
    return values
