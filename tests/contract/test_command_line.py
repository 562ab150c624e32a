"""The command line that is shown for a job does that job: parsed again, it asks for the same."""

from __future__ import annotations

import pytest

from sardino_core import cli
from sardino_core.commands import command
from sardino_core.contract.command_line import command_line
from sardino_core.contract.jobs import (
    CONTEXT_OVERLAP,
    AccuracyJob,
    AttentionJob,
    ChangeJob,
    ClassifyJob,
    ClusterJob,
    CompositeJob,
    EmbedJob,
    EvaluateJob,
    ExploreJob,
    FinetuneJob,
    MergeClassesJob,
    PreflightJob,
    PretrainJob,
    ProbeJob,
    RunOptions,
    SamplePointsJob,
    SceneOptions,
    SegmentJob,
    SimilarityJob,
    SimulateJob,
)
from sardino_core.contract.messages import Result

PLAIN = SceneOptions(("scene.tif",))
FULL = SceneOptions(
    ("a VV.tif", "a VH.tif"),
    bands={"VV": 1, "VH@summer": 2},
    units="power",
    extent=(-1.5, -2e-7, 3.25, 400000.123456789),
    cutline="c.geojson",
    mask="m.tif",
)
STARTER = RunOptions("starter")
FULL_RUN = RunOptions("my model.safetensors", 0.1, 3, "cpu", "fp32", "cog", True)
WIDE = RunOptions("starter", CONTEXT_OVERLAP)
JOBS = [
    SegmentJob(PLAIN, STARTER, "out.tif"),
    SegmentJob(FULL, FULL_RUN, "out.tif", "c.tif", "p.tif", abstain=False),
    SegmentJob(PLAIN, WIDE, "out.tif"),
    AttentionJob(PLAIN, WIDE, "out.tif"),
    AttentionJob(FULL, STARTER, "out.tif", -3, "mean", "patch"),
    EmbedJob(PLAIN, WIDE, "out.tif"),
    EmbedJob(PLAIN, FULL_RUN, "out.tif", 3, "int8"),
    ExploreJob(PLAIN, STARTER, "out.tif", (500000.25, 1e-7)),
    ExploreJob(FULL, FULL_RUN, "out.tif", (-5.5, 40.0), "similarity", -3, "2"),
    ClassifyJob(PLAIN, WIDE, "map.tif", "areas.geojson"),
    ClassifyJob(
        FULL,
        FULL_RUN,
        "map.tif",
        "a.gpkg",
        "my field",
        ("bands", "tokens"),
        "knn",
        None,
        "c.skops",
        "c.tif",
        "r.html",
        3,
    ),
    ClassifyJob(PLAIN, STARTER, "map.tif", classifier="c.skops"),
    ClusterJob(PLAIN, STARTER, "out.tif"),
    ClusterJob(FULL, WIDE, "out.tif", 8, save_codebook="c.json", refine=True),
    ClusterJob(PLAIN, FULL_RUN, "out.tif", codebook="c.json"),
    SimilarityJob(PLAIN, WIDE, "out.tif", "marks.geojson"),
    SimilarityJob(FULL, STARTER, "out.tif", "my marks.gpkg", ("a VV.tif", "a VH.tif"), "kind"),
    SimulateJob("place"),
    SimulateJob("place", 64, 9, "ascending", "fall", True),
    PreflightJob(PLAIN, STARTER),
    PreflightJob(FULL, WIDE, "report.html"),
    SamplePointsJob("map.tif", "points.geojson"),
    SamplePointsJob("map.tif", "points.geojson", 100, 5, 3, True),
    AccuracyJob("map.tif", "points.geojson", "report.html"),
    AccuracyJob("map.tif", "r.tif", "report.html", {-2: 0, 1: 80}, "class name"),
    MergeClassesJob("map.tif", "out.tif", ("10,20=1:dry woodland:#1b7837", "254=0")),
    MergeClassesJob("a map.tif", "out.tif", ("10=1",), "cog"),
    CompositeJob(("a.tif", "b c.tif"), "out.tif"),
    CompositeJob(
        ("a.tif", "b.tif"),
        "out.tif",
        by="season",
        orbit="137",
        filter="quegan",
        quality="q.tif",
        dates=("2024-01-05", "2024-01-17"),
        grid="grid.tif",
        extent=(-1.5, -2e-7, 3.25, 4.5),
        bands={"VV": 1, "VH": 2},
        units="power",
        format="cog",
    ),
    ChangeJob(("a.tif", "b.tif", "c.tif"), ("d.tif",), WIDE, "out.tif"),
    ChangeJob(
        ("a.tif", "b.tif"),
        ("c VV.tif", "c VH.tif"),
        FULL_RUN,
        "out.tif",
        0.05,
        ("2024-01", "2024-02", "2024-03", "2024-03"),
        (-1.5, -2e-7, 3.25, 4.5),
        {"VV": 1},
        "db",
    ),
    PretrainJob(
        "run",
        ("*.tif", "b.tif"),
        "pretrain-small",
        "m.safetensors",
        2.5,
        True,
        True,
        ("optimiser.steps=3",),
        {"VV": 2, "VH": 1},
        "power",
    ),
    PretrainJob("run"),
    FinetuneJob(
        "run", "scratch", ("a.tif",), ("l.tif",), "finetune-starter", 3.0, 0.1, True, True, ("seed=3",), {"VV": 1}, "db"
    ),
    EvaluateJob("run", "starter", ("a.tif",), ("l.tif",), "finetune-starter", True, ("seed=3",)),
    EvaluateJob("run", "starter", bands={"VV@summer": 3}, units="uint8db"),
    EvaluateJob("run", "starter"),
    ProbeJob("run", "starter", ("a.tif",), ("l.tif",), "finetune-tiny", ("dims=[4]", "sources.0.units=db")),
    ProbeJob("run", "starter"),
]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: type(job).__name__)
def test_the_command_does_the_job(job, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_job", lambda job, listener: asked.append(job) or Result())
    words = command_line(job)
    assert words[0] == "sardino"
    cli.main([*words[1:], "--json"])
    assert asked == [job]


def test_what_is_left_to_its_default_is_left_out():
    words = ["sardino", "segment", "scene.tif", "--model", "starter", "--output", "out.tif"]
    assert command_line(SegmentJob(PLAIN, STARTER, "out.tif")) == words
