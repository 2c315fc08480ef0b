from __future__ import annotations

import pytest

import argos


@pytest.mark.parametrize("name", argos.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(argos, name) is not None
    assert name in dir(argos)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'argos' has no attribute 'Publisher'"):
        argos.Publisher  # noqa: B018
