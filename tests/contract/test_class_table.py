"""The table of classes as text: what it means, and what contradicts itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.contract.class_table import NewClass, parse_table
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import MergeClassesJob, decode, encode


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("10=1", NewClass(1, (10,))),
        ("20,10=1:woodland", NewClass(1, (20, 10), "woodland")),
        (" 10 , 20 = 1 : dry woodland : #1B7837 ", NewClass(1, (10, 20), "dry woodland", "#1b7837")),
        ("10=1::#1b7837", NewClass(1, (10,), "", "#1b7837")),
        ("10=1:wood: mixed:", NewClass(1, (10,), "wood: mixed")),
        ("10=1:wood: mixed:#1b7837", NewClass(1, (10,), "wood: mixed", "#1b7837")),
        ("10=1:a=b, c", NewClass(1, (10,), "a=b, c")),
        ("10=10:forêt", NewClass(10, (10,), "forêt")),
        ("254=0", NewClass(0, (254,))),
        ("255=254", NewClass(254, (255,))),
    ],
)
def test_an_entry_is_old_values_new_value_name_and_colour(entry, expected):
    assert parse_table([entry]) == (expected,)


def test_entries_of_one_new_value_are_one_class():
    assert parse_table(["10=1:woodland", "30=30:low", "20=1::#1b7837", "50=1:woodland"]) == (
        NewClass(1, (10, 20, 50), "woodland", "#1b7837"),
        NewClass(30, (30,), "low"),
    )


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        (["10=1", "20,10=2"], "old value 10 is named twice"),
        (["10,10=1"], "old value 10 is named twice"),
        (["10=1", "10=1"], "old value 10 is named twice"),
        (["10=1:a", "20=1:b"], "new value 1 is named both a and b"),
        (["10=1::#111111", "20=1::#222222"], "new value 1 is coloured both #111111 and #222222"),
        (["10=1:wood", "20=2:Wood"], "values 1 and 2 would both be called Wood"),
        (["0=1"], "value 0 .* old values are 1 to 255"),
        (["256=1"], "value 256 .* old values are 1 to 255"),
        (["10=256"], "value 256 .* 0 .nodata. to 255"),
        (["10=99999999999"], "no whole number"),
        (["-1=2"], "'-1' .* no whole number"),
        (["10.5=2"], "'10.5' .* no whole number"),
        (["²=2"], "no whole number"),
        (["10,=2"], "'' .* no whole number"),
        (["10="], "'' .* no whole number"),
        (["10"], "no `=`"),
        ([""], "no `=`"),
        (["10=1:wood:green"], "colour 'green' .* #rrggbb"),
        (["10=1:wood:#12345"], "colour '#12345' .* #rrggbb"),
        (["10=1:a\x00b"], "printable"),
        (["10=1:" + "a" * 81], "1 to 80"),
        (["10=0:nothing"], "names nodata"),
        (["10=0::#111111"], "names nodata"),
        (["10=10", "20=20"], "changes nothing"),
        ([], "changes nothing"),
    ],
)
def test_a_table_that_cannot_be_is_refused_in_one_line(entries, reason):
    for refuse in (parse_table, lambda entries: MergeClassesJob("map.tif", "out.tif", tuple(entries))):
        with pytest.raises(SettingInvalid, match=reason) as refused:
            refuse(entries)
        assert "\n" not in str(refused.value)


@given(st.text())
def test_any_text_is_read_or_refused(entry):
    try:
        (new,) = parse_table([entry])
    except SettingInvalid:
        return
    assert 0 <= new.value <= 255 and all(1 <= value <= 255 for value in new.old)


def test_the_job_survives_the_wire():
    job = MergeClassesJob("map.tif", "out.tif", ("10,20=1:woodland:#1b7837", "254=0"), "cog")
    assert decode(encode(job)) == job
