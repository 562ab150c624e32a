"""JSON in and out: round trips, and errors that name the place."""

import json
import math

import pytest

from sardino_core.contract import jobs, messages
from sardino_core.contract.errors import BandsMissing, SardinoError, SettingInvalid

SCENE = jobs.SceneOptions(("a_VV.tif", "a_VH.tif"), {"VV": 1}, "power", (0.0, 1.0, 2.0, 3.0), "cut.geojson", None)
RUN = jobs.RunOptions("starter", 0.5, 4, "cpu", "fp32", "cog", True)


@pytest.mark.parametrize(
    "job",
    [
        jobs.SegmentJob(SCENE, RUN, "out.tif", "confidence.tif", None, False),
        jobs.AttentionJob(SCENE, RUN, "out.tif", 3, "max", "patch"),
        jobs.EmbedJob(SCENE, RUN, "out.tif", 3, "int8"),
        jobs.SimulateJob("folder", 64, 3, "ascending", "winter", True),
    ],
)
def test_jobs_survive_the_wire(job):
    line = jobs.encode(job)
    assert "\n" not in line
    assert jobs.decode(line) == job


@pytest.mark.parametrize(
    "message",
    [
        messages.Hello("1.0"),
        messages.Progress(0.5, "window 3 of 6"),
        messages.Log("warning", "Ä is not ASCII"),
        messages.Result({"output": "a.tif"}, {"pixels": {"water": 3}}),
        messages.Failure.of(BandsMissing("a has 1 band.", "Name it.")),
    ],
)
def test_messages_survive_the_wire(message):
    assert messages.decode(messages.encode(message)) == message


def test_a_failure_becomes_the_error_that_it_was():
    error = messages.Failure.of(BandsMissing("a has 1 band.", "Name it.")).error()
    assert type(error) is BandsMissing
    assert (error.message, error.hint) == ("a has 1 band.", "Name it.")
    assert type(messages.Failure("of-tomorrow", "New.").error()) is SardinoError


def test_a_job_with_an_unknown_key_names_it():
    body = json.loads(jobs.encode(jobs.SimulateJob("x")))
    body["sise"] = 3
    with pytest.raises(SettingInvalid, match="unknown key 'sise'"):
        jobs.decode(json.dumps(body))


def test_a_nested_mistake_is_located():
    body = json.loads(jobs.encode(jobs.SegmentJob(SCENE, RUN, "o.tif")))
    body["scene"]["bands"]["VV"] = "one"
    with pytest.raises(SettingInvalid, match=r'scene\.bands\.VV is "one"; it must be a whole number'):
        jobs.decode(json.dumps(body))


@pytest.mark.parametrize(
    "line", ["", "[]", "3", "{", '{"job": "explode"}', '{"job": ["segment"]}', '{"job": "segment"}']
)
def test_garbage_is_refused(line):
    with pytest.raises(SettingInvalid):
        jobs.decode(line)


@pytest.mark.parametrize("line", ["", "[]", "{", '{"type": "what"}', '{"type": "progress", "fraction": "x"}'])
def test_garbage_messages_are_refused(line):
    with pytest.raises(SettingInvalid):
        messages.decode(line)


def test_true_is_no_number_and_nan_is_no_json():
    with pytest.raises(SettingInvalid, match="fraction is true"):
        messages.decode('{"type": "progress", "fraction": true}')
    with pytest.raises(ValueError):
        messages.encode(messages.Progress(math.nan))
    with pytest.raises(SettingInvalid, match="finite"):
        messages.decode('{"type": "progress", "fraction": NaN}')


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: jobs.SceneOptions(()), "No input raster"),
        (lambda: jobs.SceneOptions(("a",), extent=(1.0, 0.0, 0.0, 1.0)), "turned around"),
        (lambda: jobs.SceneOptions(("a",), extent=(-math.inf, -math.inf, math.inf, math.inf)), "endless"),
        (lambda: jobs.SceneOptions(("a",), {"VV": 0}), "start at 1"),
        (lambda: jobs.RunOptions("m", overlap=0.9), "0 to 0.75"),
        (lambda: jobs.RunOptions("m", batch_size=-1), "batch size"),
        (lambda: jobs.EmbedJob(SCENE, RUN, "o", -1), "--components -1"),
        (lambda: jobs.ExploreJob(SCENE, RUN, "o", (0.0, math.inf)), "0,inf is endless"),
        (lambda: jobs.ExploreJob(SCENE, RUN, "o", (0.0, 0.0), head="0"), "--head 0"),
        (lambda: jobs.ExploreJob(SCENE, RUN, "o", (0.0, 0.0), head="all"), "mean, max, or a number"),
        (lambda: jobs.SimulateJob("o", 3), "--size 3"),
    ],
)
def test_values_out_of_range_say_what_is_allowed(make, text):
    with pytest.raises(SettingInvalid, match=text):
        make()
