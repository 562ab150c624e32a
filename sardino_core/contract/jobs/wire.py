"""All jobs, and each as one line of JSON, as the worker gets it."""

from __future__ import annotations

import json
from typing import Dict, Type, Union

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs.dates import ChangeJob, CompositeJob
from sardino_core.contract.jobs.exploring import ClassifyJob, ClusterJob, ExploreJob, SimilarityJob
from sardino_core.contract.jobs.maps import AttentionJob, EmbedJob, SegmentJob
from sardino_core.contract.jobs.quality import AccuracyJob, MergeClassesJob, PreflightJob, SamplePointsJob
from sardino_core.contract.jobs.simulation import SimulateJob
from sardino_core.contract.jobs.training import EvaluateJob, FinetuneJob, PretrainJob, ProbeJob
from sardino_core.contract.serial import from_dict, to_dict

Job = Union[
    SegmentJob,
    AttentionJob,
    EmbedJob,
    ExploreJob,
    ClassifyJob,
    ClusterJob,
    SimilarityJob,
    SimulateJob,
    PretrainJob,
    FinetuneJob,
    EvaluateJob,
    ProbeJob,
    PreflightJob,
    SamplePointsJob,
    AccuracyJob,
    MergeClassesJob,
    CompositeJob,
    ChangeJob,
]
_KINDS: Dict[str, Type[Job]] = {
    "segment": SegmentJob,
    "attention": AttentionJob,
    "embed": EmbedJob,
    "explore": ExploreJob,
    "classify": ClassifyJob,
    "cluster": ClusterJob,
    "similarity": SimilarityJob,
    "simulate": SimulateJob,
    "pretrain": PretrainJob,
    "finetune": FinetuneJob,
    "evaluate": EvaluateJob,
    "probe": ProbeJob,
    "preflight": PreflightJob,
    "samplepoints": SamplePointsJob,
    "accuracy": AccuracyJob,
    "mergeclasses": MergeClassesJob,
    "composite": CompositeJob,
    "change": ChangeJob,
}


def kind_of(job: Job) -> str:
    """The job's name, which is its subcommand's, too."""
    return next(name for name, kind in _KINDS.items() if isinstance(job, kind))


def encode(job: Job) -> str:
    """One line of JSON; the key `job` names the kind."""
    return json.dumps({"job": kind_of(job), **to_dict(job)}, ensure_ascii=False, allow_nan=False)


def decode(line: str) -> Job:
    """Read one line. Raises SettingInvalid naming what is wrong."""
    try:
        body = json.loads(line)
    except ValueError:
        raise SettingInvalid(f"The line {line[:60]!r} is not JSON.") from None
    name = body.pop("job", None) if isinstance(body, dict) else None
    if not isinstance(name, str) or name not in _KINDS:
        raise SettingInvalid(f"The job {name!r} is unknown; known are {', '.join(_KINDS)}.")
    return from_dict(_KINDS[name], body)
