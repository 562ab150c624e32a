"""A job as the command line that does the same: for logs, so that a run can be repeated, changed and scripted."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterator, List, Tuple

from sardino_core.contract.jobs import (
    CONTEXT_OVERLAP,
    SEGMENT_OVERLAP,
    AttentionJob,
    ChangeJob,
    ClassifyJob,
    EmbedJob,
    EvaluateJob,
    FinetuneJob,
    Job,
    PretrainJob,
    ProbeJob,
    RunOptions,
    SimilarityJob,
    kind_of,
)

_POSITIONAL = ("inputs", "classified")
_RENAMED = {"field_name": "field"}

_ON_CONTEXT = (AttentionJob, EmbedJob, ClassifyJob, SimilarityJob, ChangeJob)  # whose overlap is the wider one


def command_line(job: Job) -> List[str]:
    """The words of the command, not quoted for any shell; what is left to its default is left out."""
    named = dict(_entries(job))
    settings = named.pop("settings", ())
    if isinstance(job, (PretrainJob, FinetuneJob)):
        named["config"] = job.config  # the command has no default for it
    words = ["sardino", kind_of(job)]
    for name in _POSITIONAL:
        value = named.pop(name, ())
        words += [value] if isinstance(value, str) else list(value)
    for name, value in named.items():
        words += _option(_name(job, name), value)
    return [*words, *settings]


def _entries(part: Any) -> Iterator[Tuple[str, Any]]:
    """The fields that differ from their defaults, those of nested options among the job's own."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            yield from _entries_of_options(part, value)
        elif value not in (None, {}) and value != field.default:
            yield field.name, value


def _entries_of_options(job: Any, options: Any) -> Iterator[Tuple[str, Any]]:
    entries = dict(_entries(options))
    if isinstance(options, RunOptions):  # the default of this one depends on the command
        default = CONTEXT_OVERLAP if isinstance(job, _ON_CONTEXT) else SEGMENT_OVERLAP
        entries["overlap"] = options.overlap
        if options.overlap == default:
            del entries["overlap"]
    yield from entries.items()


def _name(job: Job, field: str) -> str:
    if field == "output" and isinstance(job, (PretrainJob, FinetuneJob, EvaluateJob, ProbeJob)):
        return "--out"
    return "--" + _RENAMED.get(field, field).replace("_", "-")


def _option(name: str, value: Any) -> List[str]:
    if value is True:
        return [name]
    if value is False:  # only what is on by default can differ by being off
        return ["--no-" + name[2:]]
    if isinstance(value, dict):
        value = ",".join(f"{key}={number}" for key, number in value.items())
    if name == "--features":
        return [name, ",".join(value)]
    if name in ("--extent", "--at"):
        return [f"{name}={','.join(map(repr, value))}"]
    if isinstance(value, tuple):
        return [name, *value]
    return [f"{name}={value}"] if str(value).startswith("-") else [name, str(value)]
