from __future__ import annotations

import pytest
import torch
from network_checks import check_batch_and_layout

from argos.networks.asbunet import asbunet, receptive_fields
from argos.networks.counting import conv_macs, parameters, tf_variables


@pytest.mark.parametrize(("specification", "trainable"), [("A", 1_650_129), ("B", 1_649_313), ("C", 1_650_817)])
def test_variables_are_the_published_number(specification: str, trainable: int) -> None:
    network = asbunet(specification=specification)
    assert tf_variables(network) == 1_656_385
    assert parameters(network) == trainable


def test_encoder_of_the_default_specification() -> None:
    network = asbunet()
    assert tf_variables(network.conv1) + tf_variables(network.encoder) == 1_143_712


def test_swish_changes_no_count() -> None:
    with torch.device("meta"):
        swish = asbunet(activation="swish")
    assert tf_variables(swish) == 1_656_385
    assert conv_macs(swish, (256, 256)) / 1e9 == pytest.approx(2.939, abs=5e-4)


@pytest.mark.parametrize(("specification", "gmacs"), [("A", 2.444), ("B", 2.263), ("C", 2.939)])
def test_macs_at_256(specification: str, gmacs: float) -> None:
    assert conv_macs(asbunet(specification=specification), (256, 256)) / 1e9 == pytest.approx(gmacs, abs=5e-4)


def test_macs_at_352_by_640() -> None:
    assert conv_macs(asbunet(), (352, 640)) / 1e9 == pytest.approx(10.10, abs=5e-3)


@pytest.mark.parametrize(
    ("rates", "fields"),
    [
        ((3, 4, 5, 4, 3, 2, 1), (37, 77, 125, 209, 273, 377, 441)),
        ((2, 4, 5, 4, 3, 2, 1), (29, 69, 117, 201, 265, 369, 433)),
        ((2, 3, 4, 5, 4, 3, 2), (29, 61, 101, 201, 281, 417, 513)),
        ((1, 2, 3, 4, 3, 2, 1), (21, 45, 77, 161, 225, 329, 393)),
        ((1, 1, 1, 1, 1, 1, 1), (21, 37, 53, 89, 121, 193, 257)),
        ((1, 2, 3, 4, 5, 6, 7), (21, 45, 77, 161, 257, 489, 745)),
        ((1, 2, 4, 8, 16, 32, 64), (21, 45, 85, 233, 505, 1569, 3649)),
    ],
)
def test_receptive_fields_by_equation_2(rates: tuple[int, ...], fields: tuple[int, ...]) -> None:
    assert receptive_fields(rates) == fields


@pytest.mark.parametrize(
    ("rates", "steps", "r2"),
    [
        ((3, 4, 5, 4, 3, 2, 1), 2.6, 0.984),  # ours: the most linear in unit steps
        ((2, 4, 5, 4, 3, 2, 1), 2.6, 0.984),
        ((2, 3, 4, 5, 4, 3, 2), 4.3, 0.961),
        ((1, 2, 3, 4, 3, 2, 1), 4.3, 0.966),
        ((1, 1, 1, 1, 1, 1, 1), 4.5, 0.928),
        ((1, 2, 3, 4, 5, 6, 7), 10.7, 0.863),
        ((1, 2, 4, 8, 16, 32, 64), 87, 0.683),
    ],
)
def test_rates_that_rise_and_fall_let_the_receptive_field_grow_in_a_line(
    rates: tuple[int, ...], steps: float, r2: float
) -> None:
    fields = torch.tensor(receptive_fields(rates), dtype=torch.float64)
    growth = fields.diff()
    assert float(growth.max() / growth.min()) == pytest.approx(steps, abs=0.5 if steps > 50 else 0.05)
    line = torch.stack((fields, torch.arange(7, dtype=torch.float64)))
    assert float(torch.corrcoef(line)[0, 1] ** 2) == pytest.approx(r2, abs=5e-4)


def test_receptive_field_is_what_the_encoder_sees() -> None:
    """The gradient of one output pixel of ASBL2 covers exactly the field of Eq. 2 when every unit is open."""
    network = asbunet(activation="swish").double().eval()
    image = torch.rand(1, 3, 160, 160, dtype=torch.float64, requires_grad=True)
    x = torch.nn.functional.avg_pool2d(network.conv1(image), 2)  # a mean reaches each pixel, a maximum only one
    x = network.encoder[1](network.encoder[0](x))
    x[0, :, 20, 20].sum().backward()
    columns = image.grad.abs().sum((0, 1, 2)).nonzero().ravel()
    assert int(columns[-1] - columns[0]) + 1 == receptive_fields()[1]


def test_rates_leave_the_count_alone() -> None:
    assert tf_variables(asbunet(rates=(1,) * 7)) == 1_656_385


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("specification", ["A", "B", "C"])
def test_gradients_reach_every_parameter(output_stride: int, specification: str) -> None:
    torch.manual_seed(0)
    network = asbunet(num_classes=2, output_stride=output_stride, activation="swish", specification=specification)
    logits = network(torch.rand(2, 3, 64, 48))
    (logits * torch.randn_like(logits)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("conv.bias"):  # removed again by the batch normalisation
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("specification", ["A", "B", "C"])
@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("size", [(33, 50), (1, 1), (48, 64)])
def test_logits_have_the_size_of_the_image(output_stride: int, specification: str, size: tuple[int, int]) -> None:
    network = asbunet(output_stride=output_stride, specification=specification).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, *size)).shape == (2, 1, *size)


def test_small_variant_has_no_long_connect_at_an_eighth() -> None:
    assert list(asbunet(output_stride=16).decoder) == ["8", "4", "2"]
    assert list(asbunet(output_stride=8).decoder) == ["4", "2"]


def test_state_dict_restores_the_network() -> None:
    torch.manual_seed(0)
    network, other = asbunet(), asbunet()
    network(torch.rand(2, 3, 32, 32))
    other.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        assert torch.equal(network.eval()(image), other.eval()(image))


@pytest.mark.parametrize("specification", ["A", "B"])
def test_images_of_a_batch_do_not_mix_and_the_layout_does_not_matter(specification: str) -> None:
    torch.manual_seed(0)
    check_batch_and_layout(asbunet(2, specification=specification), torch.rand(2, 3, 32, 48))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"specification": "D"}, r"specification must be one of \['A', 'B', 'C'\], got 'D'"),
        ({"activation": "gelu"}, r"activation must be one of \['relu', 'swish'\], got 'gelu'"),
        ({"output_stride": 32}, "output_stride must be 16 or 8, got 32"),
        ({"rates": (1, 2, 3)}, "rates must be seven positive integers"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
    ],
)
def test_wrong_argument_names_what_is_allowed(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        asbunet(**arguments)
