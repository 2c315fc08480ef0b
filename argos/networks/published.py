"""What the documents print of their networks, table by table, and how each row is built here.

Only numbers that a network has by itself are compared. Accuracies need the document's data and training; speeds and
memory were measured on the authors' machines.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from torch import nn

from argos.networks import counting
from argos.networks.asbunet import asbunet
from argos.networks.comparing import Cell, Row, Size, Table, forward_ms
from argos.networks.dual_aspp import dual_aspp
from argos.networks.essnet import erfnet, essnet, essnet_a, essnet_b, wspdnet
from argos.networks.fcn import mobilenet_fcn, squeezenet_fcn
from argos.networks.layer_table import trace_layers
from argos.networks.qunet import FULL_PRECISION, BitPlan, QUNet, qunet
from argos.networks.ssd_isb import multi_shape, single_branch, single_shape, single_shape_plus
from argos.networks.unets_published import efficientnet_unet, mobilenet_v2_unet

MEASURED = "FPS and memory are of the authors' machine."
ACCURACY = "IoU needs the document's training on Cityscapes."


def variables(printed: str, note: str = "") -> Cell:
    """Number of variables, by the rule TF-vars."""
    return Cell("variables", printed, lambda network, _: counting.tf_variables(network), note=note)


def conv_only(weights: str, giga: str, weights_note: str = "", giga_note: str = "") -> tuple[Cell, Cell]:
    """Convolution weights and their multiply-accumulates in billions, by the rule conv-only."""
    return (
        Cell("conv weights", weights, lambda network, _: counting.conv_weights(network), note=weights_note),
        Cell("GFLOPs", giga, lambda network, size: counting.conv_macs(network, size) / 1e9, note=giga_note),
    )


def hooks(printed: str, tolerance: float = 0.0, note: str = "") -> tuple[Cell]:
    """Billions of operations by the rule hooks."""
    return (Cell("GFLOPs", printed, lambda n, size: counting.hooks_operations(n, size) / 1e9, tolerance, note),)


def bit_operations(printed: str, extras: bool, note: str = "") -> tuple[Cell]:
    """Billions of operations by the rule bit-ops/58."""

    def measure(network: nn.Module, size: Size) -> float:
        if not isinstance(network, QUNet):
            raise ValueError(f"bit operations are counted of a QU-Net, got {type(network).__name__}")
        return counting.bit_operations(network, size, extras=extras) / 1e9

    return (Cell("GFLOPs", printed, measure, note=note),)


# ---- ASBU-Net paper -------------------------------------------------------------------------------------------

_ASBUNET: tuple[tuple[str, Callable[[], nn.Module], str, str, str, str], ...] = (
    ("MobileNetV2 U-Net x1", partial(mobilenet_v2_unet, 1.0), "0.8976", "12.98", "1057013", "4.7"),
    ("MobileNetV2 U-Net x1.3", partial(mobilenet_v2_unet, 1.3), "0.9089", "15.28", "1577717", "6.8"),
    ("MobileNetV2 U-Net x1.4", partial(mobilenet_v2_unet, 1.4), "0.91", "15.8", "1786565", "7.6"),
    ("EfficientNet U-Net B0", partial(efficientnet_unet, "B0"), "0.9042", "16.4", "1448056", "6.3"),
    ("EfficientNet U-Net B1", partial(efficientnet_unet, "B1"), "0.9108", "19.68", "1808860", "7.9"),
    ("EfficientNet U-Net B2", partial(efficientnet_unet, "B2"), "0.9148", "21.54", "2075728", "9"),
    ("ASBU-Net ReLU", asbunet, "0.9244", "7.46", "1656385", "6.9"),
    ("ASBU-Net Swish", partial(asbunet, activation="swish"), "0.9293", "9.68", "1656385", "6.9"),
)


def _megabytes(network: nn.Module, size: Size) -> float:
    return counting.tf_variables(network) * 4 / 1e6


def _asbunet_6() -> tuple[Row, ...]:
    private = "4,000 private pictures of the Logitech Video Collaboration data set"
    other = "ours is of this machine; the paper's of an RTX 2080 SUPER, its image size is not given"
    return tuple(
        Row(name, build, (Cell("accuracy", accuracy, None, note=private), Cell("ms", ms, forward_ms, note=other)))
        for name, build, accuracy, ms, _, _ in _ASBUNET
    )


def _asbunet_7() -> tuple[Row, ...]:
    layer = "836 less at every width: a layer of fixed width that the text does not tell"
    graph = "ours is float32 alone; a file of the paper also holds its TensorFlow graph"
    return tuple(
        Row(
            name,
            build,
            (
                variables(count, layer if name.startswith("MobileNet") else ""),
                Cell("MB", megabytes, _megabytes, note=graph),
            ),
        )
        for name, build, _, _, count, megabytes in _ASBUNET
    )


# ---- RT-Seg thesis --------------------------------------------------------------------------------------------

_RTSEG_4_2 = (
    Row("SqzNet-Base", squeezenet_fcn, (variables("732243", "SqueezeNet 1.1; the thesis prints the table of 1.0"),)),
    Row("SqzNet-FCN8", partial(squeezenet_fcn, steps=1), (variables("740470"),)),
    Row("SqzNet-Stride8", partial(squeezenet_fcn, output_stride=8), (variables("732243"),)),
    Row("MN-Base", mobilenet_fcn, (variables("839283"),)),
    Row("MN-FCN16", partial(mobilenet_fcn, steps=1), (variables("849942"),)),
    Row("MN-FCN8", partial(mobilenet_fcn, steps=2), (variables("858169"),)),
    Row("MN-Stride16", partial(mobilenet_fcn, output_stride=16), (variables("839283"),)),
    Row("MN-Stride8", partial(mobilenet_fcn, output_stride=8), (variables("839283"),)),
)

_RTSEG_5_5 = (
    Row("Single-Branch", single_branch, (variables("5790631"),)),
    Row(
        "Single-Shape",
        single_shape,
        (variables("8862738", "12 equal branches, one for each shape of the text, cannot give this number"),),
    ),
    Row("Single-Shape+", single_shape_plus, (variables("9002580", "with 14 branches; the text implies 13"),)),
    Row("Multi-Shape", multi_shape, (variables("8014288"),)),
)
_RTSEG_5_7 = (
    Row("SB-Default", single_branch, (variables("5790631"),)),
    Row("SB-MN0.75", partial(single_branch, 0.75), (variables("3358647"),)),
    Row("SB-FCN16", partial(single_branch, steps=1), (variables("5765991"),)),
)
_RTSEG_5_9 = (
    Row("MS-Default", multi_shape, (variables("8014288"),)),
    Row("MS-MN0.75", partial(multi_shape, multiplier=0.75), (variables("5211360"),)),
    Row("MS-FCN16", partial(multi_shape, steps=1), (variables("7767888"),)),
    Row("MS-NewShapes", partial(multi_shape, "new"), (variables("7273069"),)),
    Row("MS-SmallShapes", partial(multi_shape, "small"), (variables("7520142"),)),
)

# ---- ESSNet thesis --------------------------------------------------------------------------------------------

_ERFNET = Row("ERFNet", partial(erfnet, published=True), conv_only("2038448", "27.705"))
_TWICE = "the print counts the decoder twice; the text says 0.55 million"
_MISPRINT = "only ours fits the other rows of the table, which differ by the weights of the 1x1 convolutions"


def _grouped(
    name: str, build: Callable[..., nn.Module], printed: dict[str, tuple[str, str]], suffixes: tuple[str, ...]
) -> tuple[Row, ...]:
    """Rows of one ESSNet with grouped modules, plain and shuffled, which have the same numbers."""
    return tuple(
        Row(f"{name}-{module}{suffix}", partial(build, module + suffix, published=True), conv_only(*numbers))
        for suffix in suffixes
        for module, numbers in printed.items()
    )


_ESSNET_3_2 = (
    _ERFNET,
    Row("ESSNetB-D", partial(essnet_b, published=True), conv_only("683568", "10.597", _TWICE)),
    *_grouped(
        "ESSNetB",
        essnet_b,
        {"DG2": ("395568", "8.852"), "DG4": ("319792", "7.980"), "DG8": ("281904", "7.543")},
        ("", "S"),
    ),
)
_ESSNET_3_4 = (
    Row("ESSNetA-D", partial(essnet_a, published=True), conv_only("1291648", "19.025", _MISPRINT, _MISPRINT)),
    *_grouped(
        "ESSNetA",
        essnet_a,
        {"DG2": ("1238960", "18.998"), "DG4": ("1202096", "18.595"), "DG8": ("1183664", "18.394")},
        ("", "S"),
    ),
)
_ESSNET_3_5 = (
    _ERFNET,
    Row("ESSNet-D", partial(essnet, published=True), conv_only("431312", "5.773")),
    *_grouped("ESSNet", essnet, {"DG2": ("279760", "4.029"), "DG4": ("203984", "3.156")}, ("",)),
)
_TOOL = "counted with another tool than chapter 3; where it puts BN and ReLU is not told"
_ESSNET_4_1 = (
    Row("ESSNet-enc-UPS", partial(essnet, decoder="enc-UPS"), hooks("7.41", 0.01, _TOOL)),
    Row("ESSNet-trans4x", partial(essnet, decoder="trans4x"), hooks("5.31", 0.01, _TOOL)),
    Row("ESSNet-trans8x", partial(essnet, decoder="trans8x"), hooks("4.89", 0.01)),
    Row("ESSNet-nodec", partial(essnet, decoder="nodec"), hooks("4.70", 0.01, f"ours with a 1x1 for classes; {_TOOL}")),
)


@lru_cache(maxsize=1)
def _outputs(network: nn.Module, size: Size) -> dict[str, str]:
    """Shape of what each layer gives, by its name without encoder or decoder."""
    layers = trace_layers(network, size)
    return {layer.name.partition(".")[2]: "x".join(str(side) for side in layer.output) for layer in layers}


def _layer(number: int, thesis: str, channels: int, scale: int, note: str = "") -> Cell:
    """One row of Table 4.2: ``number`` is our layer's, ``thesis`` the printed one; at 1/``scale`` of 512x1024."""
    printed = f"{channels}x{512 // scale}x{1024 // scale}"
    return Cell(thesis, printed, lambda network, size: _outputs(network, size)[f"layer{number}"], note=note)


_ESSNET_4_2 = (
    Row(
        "output of layer",
        wspdnet,
        (
            _layer(1, "1 Downsampler", 16, 2),
            _layer(4, "2-4 Non-bt-1D(3K)", 16, 2),
            _layer(5, "5 Downsampler", 64, 4),
            _layer(7, "6-7 Non-bt-1D(5K)", 64, 4),
            _layer(8, "8 Downsampler", 128, 8),
            _layer(10, "9-11 DWS-Dil", 128, 8, "9 to 11 hold two modules, 9 and 10 here"),
            _layer(11, "12 Deconvolution", 64, 4),
            _layer(13, "13-14 Non-bt-1D(5K)", 64, 4),
            _layer(14, "15 Deconvolution", 16, 2),
            _layer(16, "16-17 Non-bt-1D(3K)", 16, 2),
            _layer(17, "18 Deconvolution", 20, 1),
        ),
    ),
    Row(
        "WSPD-Net",
        partial(wspdnet, published=True),
        (
            Cell(
                "M parameters",
                "0.67",
                lambda network, _: counting.parameters(network) / 1e6,
                note="from the text; the inside of DWS-Dil is only drawn and chosen to fit",
            ),
        ),
    ),
)

# ---- QU-Net thesis --------------------------------------------------------------------------------------------

_QUNET_4_1 = (
    Row("full precision", partial(qunet, bits=FULL_PRECISION), hooks("62.68", note="with two classes, cut off")),
    Row("middle 1/1", partial(qunet, bits=BitPlan(None, 1, None)), bit_operations("55.27", extras=False)),
    Row("and upsampling 4/1", partial(qunet, bits=BitPlan(None, 1, 4)), bit_operations("18.36", extras=False)),
    Row("and initial 8/1", qunet, bit_operations("5.30", True, "squeeze-excite counted; the rows above do not")),
    Row("DCT input", partial(qunet, dct=True), bit_operations("0.112", True, "squeeze-excite and the DCT counted")),
)

# ---- Dual ASPP paper ------------------------------------------------------------------------------------------


def _conv_2bn(giga: str, note: str = "") -> tuple[Cell]:
    """Billions of operations by the rule conv+2BN."""
    return (Cell("GFLOPs", giga, lambda n, size: counting.conv_2bn_operations(n, size) / 1e9, note=note),)


def _deeplab(name: str, encoder: str, millions: str, giga: str, note: str = "") -> Row:
    """One row of Table 1: DeepLabV3+ on an encoder."""
    parameters = Cell("M parameters", millions, lambda network, _: counting.parameters(network) / 1e6, note=note)
    return Row(name, partial(dual_aspp, encoder, "deeplab"), (parameters, *_conv_2bn(giga)))


_CLASSIFIER = "with the classifier of ImageNet, which nothing uses"
_DUALASPP_1 = (
    _deeplab("ResNet101", "resnet101", "47.73", "458.5", _CLASSIFIER),
    _deeplab("Xception65", "xception65", "41.05", "413.2"),
    _deeplab("MobileNetV2", "mobilenet_v2", "2.72", "45.7"),
    _deeplab("MobileNetV3-Large", "mobilenet_v3_large", "2.14", "35.5"),
    _deeplab("MobileNetV3-Small", "mobilenet_v3_small", "1.03", "26.1"),
)
_DUALASPP_2 = tuple(
    Row(f"{name}, {head}", partial(dual_aspp, encoder, head), _conv_2bn(giga))
    for name, encoder, printed in (
        ("MobileNetV2", "mobilenet_v2", ("20.9", "45.6", "14.2")),
        ("MobileNetV3-Large", "mobilenet_v3_large", ("11.8", "35.5", "10.8")),
        ("MobileNetV3-Small", "mobilenet_v3_small", ("3.2", "26.1", "4.2")),
    )
    for head, giga in zip(("none", "deeplab", "dual"), printed, strict=True)
)
_DUALASPP_4 = (
    Row(
        "with skip connection",
        partial(dual_aspp, "mobilenet_v3_small", skip_channels=19),
        _conv_2bn("8.6", "19 channels in the skip; 16 fit as well"),
    ),
    Row("without", partial(dual_aspp, "mobilenet_v3_small"), _conv_2bn("4.2")),
)

_HALF = (512, 1024)
_FULL = (1024, 2048)
TABLES = {
    "asbunet:6": Table("ASBU-Net paper, Fig. 6: accuracy and time", (352, 640), _asbunet_6()),
    "asbunet:7": Table("ASBU-Net paper, Fig. 7: variables and model size", (352, 640), _asbunet_7()),
    "rtseg:4.2": Table("RT-Seg thesis, Table 4.2: SqueezeNet and MobileNet", _FULL, _RTSEG_4_2, MEASURED),
    "rtseg:5.5": Table(
        "RT-Seg thesis, Table 5.5: SSD-ISB", (640, 640), _RTSEG_5_5, f"{MEASURED} Mask R-CNN is not built."
    ),
    "rtseg:5.7": Table("RT-Seg thesis, Table 5.7: Single-Branch", (640, 640), _RTSEG_5_7, MEASURED),
    "rtseg:5.9": Table("RT-Seg thesis, Table 5.9: Multi-Shape", (640, 640), _RTSEG_5_9, MEASURED),
    "essnet:3.2": Table("ESSNet thesis, Table 3.2: ESSNetB", _HALF, _ESSNET_3_2, ACCURACY),
    "essnet:3.4": Table("ESSNet thesis, Table 3.4: ESSNetA", _HALF, _ESSNET_3_4, ACCURACY),
    "essnet:3.5": Table("ESSNet thesis, Table 3.5: ESSNet, trained by gradual grouping", _HALF, _ESSNET_3_5, ACCURACY),
    "essnet:4.1": Table("ESSNet thesis, Table 4.1: decoders", _HALF, _ESSNET_4_1, ACCURACY),
    "essnet:4.2": Table("ESSNet thesis, Table 4.2: WSPD-Net, layer by layer", _HALF, _ESSNET_4_2),
    "dualaspp:1": Table("Dual ASPP paper, Table 1: encoders under DeepLabV3+", _FULL, _DUALASPP_1, ACCURACY),
    "dualaspp:2": Table("Dual ASPP paper, Table 2: heads", _FULL, _DUALASPP_2, ACCURACY),
    "dualaspp:4": Table("Dual ASPP paper, Table 4: skip connection on MobileNetV3-Small", _FULL, _DUALASPP_4, ACCURACY),
    "qunet:4.1": Table(
        "QU-Net thesis, Table 4.1: bit widths", (320, 320), _QUNET_4_1, "Regions and area need the thesis' training."
    ),
}
