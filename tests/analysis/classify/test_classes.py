"""From labels to classes."""

import math
from itertools import combinations

import pytest

from sardino_core.analysis.classify.classes import classes_of, index_of
from sardino_core.contract.errors import SettingInvalid
from tests.analysis.maps import LOW, TREES, WATER

KNOWN = (WATER, TREES, LOW)


def test_values_of_the_model_are_its_classes():
    assert classes_of(["80", "10.0", "80"], KNOWN) == (TREES, WATER)


def test_other_values_are_no_class_of_the_model():
    found = classes_of(["10", "11"], KNOWN)
    assert [(item.value, item.name) for item in found] == [(10, "class 10"), (11, "class 11")]
    assert found[0].colour != found[1].colour


def test_names_of_the_model_keep_value_and_colour_and_others_get_free_ones():
    found = classes_of(["Water", "maize", "beet", "maize"], KNOWN)
    assert [(item.value, item.name) for item in found] == [(1, "beet"), (2, "maize"), (80, "water")]
    assert found[2] == WATER
    assert [index_of(label, found) for label in ("beet", "maize", "Water")] == [0, 1, 2]


def test_other_names_get_colours_that_nobody_takes_for_the_models():
    """The first colour for others is nearly the model's blue for water."""
    names = ["water", "trees", "low vegetation", *(f"kind {number}" for number in range(4))]
    colours = [bytes.fromhex(item.colour[1:]) for item in classes_of(names, KNOWN)]
    assert all(math.dist(one, other) > 60 for one, other in combinations(colours, 2))


def test_more_classes_than_colours_repeat_them():
    assert len(classes_of([f"kind {number}" for number in range(30)], KNOWN)) == 30
    assert len({item.colour for item in classes_of([str(number) for number in range(1, 31)], ())}) == 8


def test_numbers_are_found_however_they_are_written():
    found = classes_of(["7", "9"], ())
    assert [index_of(label, found) for label in ("7", "9.0")] == [0, 1]


def test_a_name_that_is_a_number_beside_names():
    found = classes_of(["7", "road"], ())
    assert {item.name for item in found} == {"7", "road"}
    assert [found[index_of(label, found)].name for label in ("7", "road")] == ["7", "road"]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["10", "10"], "all of one class, trees"),
        (["0", "5"], "class value 0; allowed are 1 to 253"),
        (["5", "254"], "class value 254"),
        (["unsure", "water"], "is not allowed"),
        (["a" * 81, "water"], "1 to 80 printable"),
        ([f"name {index}" for index in range(300)], "300 classes; a map holds 253"),
    ],
)
def test_what_is_no_legend_is_refused(labels, reason):
    with pytest.raises(SettingInvalid, match=reason):
        classes_of(labels, KNOWN)
