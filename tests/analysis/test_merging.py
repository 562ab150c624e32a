"""What becomes of values, names and colours: no files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.analysis.merging import distinct_colour, merge_classes
from sardino_core.contract.class_table import parse_table
from sardino_core.contract.model_spec import ClassSpec
from tests.analysis.maps import LEGEND, LOW, TREES, UNSURE, WATER

OURS = {item.value: item for item in LEGEND}


def merged(entries, legend=OURS, present=(10, 30, 80)):
    return {item.value: item for item in merge_classes(parse_table(entries), legend, present).classes}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["10,30=1:green:#1b7837"], [ClassSpec(1, "green", "#1b7837"), WATER, UNSURE]),
        (["30,10=1"], [ClassSpec(1, "low", "#ffe14c"), WATER, UNSURE]),  # of the first that is named
        (["30=10"], [TREES, WATER, UNSURE]),  # of the class that has the value already
        (["30=10:green"], [ClassSpec(10, "green", TREES.colour), WATER, UNSURE]),
        (["30=10::#111111"], [ClassSpec(10, "trees", "#111111"), WATER, UNSURE]),
        (["10=10:forest"], [ClassSpec(10, "forest", TREES.colour), LOW, WATER, UNSURE]),
        (["254=80"], [TREES, LOW, WATER]),
        (["254,10=0"], [LOW, WATER]),
        (["10=254"], [LOW, WATER, UNSURE]),
        (["99,10=1"], [ClassSpec(1, "trees", TREES.colour), LOW, WATER, UNSURE]),
        (["10=80", "80=10"], [TREES, LOW, WATER, UNSURE]),  # the pixels change places, the legend stays
    ],
)
def test_values_names_and_colours(entries, expected):
    assert list(merged(entries).values()) == expected


def test_a_map_without_names_has_numbers_and_distinct_colours():
    found = merged(["1,2=7"], {}, (1, 2, 3, 4, 254))
    assert {value: item.name for value, item in found.items()} == {3: "3", 4: "4", 7: "7", 254: "unsure"}
    assert len({item.colour for item in found.values()}) == 4


def test_colours_alone_are_kept_and_those_of_absent_values_make_no_class():
    palette = {1: ClassSpec(1, "", "#0000ff"), 2: ClassSpec(2, "", "#00ff00"), 9: ClassSpec(9, "", "#ff0000")}
    found = merged(["2=5:wood"], palette, (1, 2))
    assert found == {1: ClassSpec(1, "1", "#0000ff"), 5: ClassSpec(5, "wood", "#00ff00")}


def test_distinct_colours_are_distinct():
    assert len({distinct_colour(value) for value in range(1, 256)}) == 255


@given(st.dictionaries(st.integers(1, 255), st.integers(0, 255), min_size=1))
def test_what_is_not_named_stays_and_nodata_is_nodata(table):
    entries = [f"{old}={new}" for old, new in table.items()]
    if all(old == new for old, new in table.items()):
        entries = [f"{entries[0]}:renamed"]
    becomes = merge_classes(parse_table(entries), {}, ()).becomes
    assert becomes.dtype == np.uint8 and becomes[0] == 0
    assert all(becomes[value] == table.get(value, value) for value in range(256))
