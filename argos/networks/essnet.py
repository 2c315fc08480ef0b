"""ERFNet, ESSNetA, ESSNetB, ESSNet with its decoder variants, and WSPD-Net.

All encode to 1/8 of the image and differ in their residual modules; channels are shown for the three scales.
``published`` builds the form whose weights and operations the thesis counts in chapter 3: downsamplers without a
pooling branch, one module per decoder level, and convolutions after interpolation instead of transposed ones. The
default is the text itself, to be trained.

Reference:
    Vallurupalli, On Designing Efficient Deep Neural Networks for Semantic Segmentation, 2022.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.conv import initialize_he, pad_to_multiple
from argos.networks.layers.resample import Downsampler, Upsampler, enlarging
from argos.networks.layers.residual import NonBottleneck1D, ParallelDilated, SeparableResidual, batch_norm

STRIDE = 8
CITYSCAPES_CLASSES = 20
"""19 and void: the last layer of the thesis has 1,280 weights."""

RATES = (2, 4, 8, 16)

MODULES: dict[str, tuple[int, bool]] = {
    "D": (1, False),
    "DG2": (2, False),
    "DG4": (4, False),
    "DG8": (8, False),
    "DG2S": (2, True),
    "DG4S": (4, True),
    "DG8S": (8, True),
}
"""Conv-modules of section 3.2: groups of the 1x1 convolutions, and whether their channels are shuffled."""

DECODERS = ("trans2x", "enc-UPS", "trans4x", "trans4x-dense", "trans8x", "trans8x-dense", "nodec", "pyramid")

PYRAMID_FILTERS = 32
PYRAMID_SCALES = (8, 4, 2, 1)


class EncoderDecoder(nn.Module):
    """An encoder to 1/8 of the image and a decoder back; see the builders below."""

    def __init__(self, encoder: Sequence[nn.Module], decoder: Sequence[nn.Module], num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = _numbered(encoder)
        self.decoder = _numbered(decoder, first=len(encoder) + 1)
        initialize_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """Segment pictures.

        Args:
            image: ``(N, 3, H, W)``, floating, 0..1; any H and W.

        Returns:
            Logits ``(N, num_classes, H, W)``.
        """
        height, width = image.shape[-2:]
        x = self.encoder(pad_to_multiple(image, STRIDE))  # (N, 128, H/8, W/8)
        logits: Tensor = self.decoder(x)
        return logits[:, :, :height, :width]


class PyramidPooling(nn.Module):
    """Means over 8, 4, 2 and 1 pixels, narrowed and put beside the map: 128 channels become 256.

    Reference:
        Thesis, section 4.2, Fig. 4.1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, PYRAMID_FILTERS, 1), batch_norm(PYRAMID_FILTERS), nn.ReLU(inplace=True))
            for _ in PYRAMID_SCALES
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to ``(N, channels + 4 * 32, H, W)``, floating."""
        maps = [x]
        for scale, narrow in zip(PYRAMID_SCALES, self.narrow, strict=True):
            y = narrow(F.avg_pool2d(x, scale, ceil_mode=True))
            maps.append(F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False))
        return torch.cat(maps, 1)


def erfnet(num_classes: int = CITYSCAPES_CLASSES, published: bool = False, dropout: float = 0.3) -> EncoderDecoder:
    """Build ERFNet, the baseline: 2,038,448 convolution weights as published, 2,064,256 parameters to train.

    Raises:
        ValueError: ``num_classes`` or ``dropout`` out of range.
    """
    _check(num_classes, dropout)
    shallow = [NonBottleneck1D(64, dropout=dropout) for _ in range(5)]
    deep = [NonBottleneck1D(128, rate, dropout=dropout) for rate in RATES + RATES]
    return EncoderDecoder(_encoder(shallow, deep, published), _wide_decoder(num_classes, published), num_classes)


def essnet_a(
    module: str = "D",
    num_classes: int = CITYSCAPES_CLASSES,
    published: bool = False,
    gradual: bool = False,
    dropout: float = 0.3,
) -> EncoderDecoder:
    """Build ESSNetA (Table 3.3): the later modules of each scale are Conv-modules. Arguments as in ``essnet``."""
    _check(num_classes, dropout, module)
    shallow: list[nn.Module] = [NonBottleneck1D(64, dropout=dropout) for _ in range(3)]
    shallow += [_conv_module(module, 64, 1, gradual, dropout) for _ in range(2)]
    deep: list[nn.Module] = [NonBottleneck1D(128, rate, dropout=dropout) for rate in RATES]
    deep += [_conv_module(module, 128, rate, gradual, dropout) for rate in RATES]
    return EncoderDecoder(_encoder(shallow, deep, published), _wide_decoder(num_classes, published), num_classes)


def essnet_b(
    module: str = "D",
    num_classes: int = CITYSCAPES_CLASSES,
    published: bool = False,
    gradual: bool = False,
    dropout: float = 0.3,
) -> EncoderDecoder:
    """Build ESSNetB (Table 3.1): every module of the encoder is a Conv-module. Arguments as in ``essnet``."""
    _check(num_classes, dropout, module)
    encoder = _compact_encoder(module, published, gradual, dropout)
    return EncoderDecoder(encoder, _wide_decoder(num_classes, published), num_classes)


def essnet(
    module: str = "D",
    num_classes: int = CITYSCAPES_CLASSES,
    published: bool = False,
    gradual: bool = False,
    decoder: str = "trans2x",
    dropout: float = 0.3,
) -> EncoderDecoder:
    """Build ESSNet: Conv-modules in the encoder, modules D in the decoder (Fig. 3.9), or a variant of chapter 4.

    Args:
        module: Conv-module, a key of ``MODULES``.
        num_classes: 20 as published.
        published: the form that chapter 3 counts.
        gradual: dense 1x1 convolutions that a training turns into grouped ones (``layers.grouping``).
        decoder: ``trans2x`` is ESSNet; ``enc-UPS``, ``trans4x``, ``trans8x`` and ``nodec`` are those of Table 4.1,
            ``pyramid`` that of section 4.2. ``nodec`` is also the network that trains an encoder alone. The kernel
            of ``trans4x`` and ``trans8x`` leaves gaps between its taps; the ``-dense`` ones overlap instead.
        dropout: share of channels that the modules of the encoder drop in training.

    Raises:
        ValueError: an argument is not one of these.

    Reference:
        Thesis, Table 3.5, Table 4.1, section 4.2.
    """
    _check(num_classes, dropout, module)
    encoder = _compact_encoder(module, published, gradual, dropout)
    last = enlarging(16, num_classes, 2, 2)
    layers: list[nn.Module]
    match decoder:
        case "trans2x":
            layers = _levels(1, published, lambda channels: SeparableResidual(channels), last)
        case "enc-UPS":
            layers = [Upsampler(128, 64, 1, published=True), NonBottleneck1D(64)]
            layers += [Upsampler(64, 16, 1, published=True), NonBottleneck1D(16), last]
        case "trans4x" | "trans4x-dense":
            kernel = 3 if decoder == "trans4x" else 8
            layers = [Upsampler(128, 16, kernel, factor=4), SeparableResidual(16), SeparableResidual(16), last]
        case "trans8x" | "trans8x-dense":
            layers = [enlarging(128, num_classes, 3 if decoder == "trans8x" else 16, 8)]
        case "nodec":
            layers = [nn.Conv2d(128, num_classes, 1), nn.Upsample(scale_factor=8, mode="bilinear")]
        case "pyramid":
            layers = [PyramidPooling(128), Upsampler(256, 16, 8, factor=4)]
            layers += [NonBottleneck1D(16), NonBottleneck1D(16), last]
        case _:
            raise ValueError(f"decoder should be one of {', '.join(DECODERS)}, got {decoder!r}")
    return EncoderDecoder(encoder, layers, num_classes)


def wspdnet(num_classes: int = CITYSCAPES_CLASSES, published: bool = False, dropout: float = 0.3) -> EncoderDecoder:
    """Build WSPD-Net (Table 4.2): modules at all scales, 5x1 and 1x5 kernels at 1/4, two DWS-Dil at 1/8.

    Raises:
        ValueError: ``num_classes`` or ``dropout`` out of range.
    """
    _check(num_classes, dropout)
    encoder: list[nn.Module] = [
        Downsampler(3, 16, published),
        *(NonBottleneck1D(16, dropout=dropout) for _ in range(3)),
        Downsampler(16, 64, published),
        *(NonBottleneck1D(64, kernel=5, dropout=dropout) for _ in range(2)),
        Downsampler(64, 128, published),
        *(ParallelDilated(128, dropout) for _ in range(2)),
    ]
    last = enlarging(16, num_classes, 2, 2)
    wide = {64: 5, 16: 3}
    decoder = _levels(3, published, lambda channels: NonBottleneck1D(channels, kernel=wide[channels]), last)
    return EncoderDecoder(encoder, decoder, num_classes)


def _encoder(shallow: Sequence[nn.Module], deep: Sequence[nn.Module], published: bool) -> list[nn.Module]:
    """Layers 1 to 16 of Tables 3.1 and 3.3, the modules at 1/4 and at 1/8 given."""
    first = [Downsampler(3, 16, published), Downsampler(16, 64, published)]
    return [*first, *shallow, Downsampler(64, 128, published), *deep]


def _compact_encoder(module: str, published: bool, gradual: bool, dropout: float) -> list[nn.Module]:
    shallow = [_conv_module(module, 64, 1, gradual, dropout) for _ in range(5)]
    deep = [_conv_module(module, 128, rate, gradual, dropout) for rate in RATES + RATES]
    return _encoder(shallow, deep, published)


def _conv_module(module: str, channels: int, dilation: int, gradual: bool, dropout: float) -> SeparableResidual:
    groups, shuffle = MODULES[module]
    return SeparableResidual(channels, dilation, groups, shuffle, gradual, dropout)


def _wide_decoder(num_classes: int, published: bool) -> list[nn.Module]:
    """Layers 17 to 23 of Table 3.1, which ERFNet, ESSNetA and ESSNetB share."""
    return _levels(3, published, lambda channels: NonBottleneck1D(channels), enlarging(16, num_classes, 2, 2))


def _levels(kernel: int, published: bool, module: Callable[[int], nn.Module], last: nn.Module) -> list[nn.Module]:
    """Two levels, each an upsampler and its modules, then the last layer."""
    modules = 1 if published else 2
    return [
        Upsampler(128, 64, kernel, published=published),
        *(module(64) for _ in range(modules)),
        Upsampler(64, 16, kernel, published=published),
        *(module(16) for _ in range(modules)),
        last,
    ]


def _numbered(layers: Sequence[nn.Module], first: int = 1) -> nn.Sequential:
    """A sequence with the layer numbers of the thesis' tables as names."""
    return nn.Sequential(OrderedDict((f"layer{n}", layer) for n, layer in enumerate(layers, first)))


def _check(num_classes: int, dropout: float, module: str = "D") -> None:
    if module not in MODULES:
        raise ValueError(f"module should be one of {', '.join(MODULES)}, got {module!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes should be at least 1, got {num_classes}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout should be at least 0 and below 1, got {dropout}")
