"""Labels: in the picture, on no other label, near whom they name."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from argos.drawing.labels import Box, place_labels

FRAME = (60, 100)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x0, y0 = draw(st.integers(0, 95)), draw(st.integers(0, 55))
    return x0, y0, draw(st.integers(x0 + 1, 100)), draw(st.integers(y0 + 1, 60))


@settings(max_examples=100, deadline=None)
@given(st.lists(boxes(), max_size=12))
def test_labels_stay_in_the_picture_and_cover_no_other(people: list[Box]) -> None:
    placed = place_labels(people, [[(9, 40), (9, 12)]] * len(people), FRAME)
    places = [place for wording in placed if wording is not None for place in [wording[1]]]
    for n, (x0, y0, x1, y1) in enumerate(places):
        assert 0 <= x0 < x1 <= FRAME[1]
        assert 0 <= y0 < y1 <= FRAME[0]
        for a0, b0, a1, b1 in places[n + 1 :]:
            assert x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0
    for box, label in zip(people, placed, strict=True):
        if label is not None:
            x0, y0, x1, y1 = label[1]
            assert y1 >= box[1] - 9
            assert y0 <= box[3] + 9
            assert x1 - x0 == (40, 12)[label[0]]
    if people:
        assert any(label is not None for label in placed)


def test_the_largest_comes_first_and_the_others_are_said_shorter_or_not_at_all() -> None:
    room = (20, 40)  # two rows of full labels
    people = [(0, 5, 40, 10), (0, 0, 40, 20), (0, 6, 40, 11), (0, 7, 40, 12)]
    placed = place_labels(people, [[(10, 40), (10, 12)]] * 4, room)
    assert placed[1] == (0, (0, 0, 40, 10))
    assert [label is None for label in placed].count(True) >= 1
    narrow = place_labels([(0, 10, 20, 20), (20, 10, 40, 20)], [[(10, 30), (10, 20)]] * 2, room)
    assert narrow == [(0, (0, 0, 30, 10)), (0, (10, 10, 40, 20))]


def test_a_label_larger_than_the_picture_is_left_out() -> None:
    assert place_labels([(0, 0, 5, 5)], [[(9, 40)]], (8, 100)) == [None]
