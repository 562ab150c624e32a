"""The command `sardino`: arguments to jobs, jobs to the library, errors to one line and an exit status.

Only the contract is imported here; everything heavy is imported inside the command that needs it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sardino_core.arguments import parse
from sardino_core.contract.errors import DependencyMissing, OutputUnwritable
from sardino_core.contract.findings import Finding
from sardino_core.contract.jobs import (
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
from sardino_core.dispatch import run_job
from sardino_core.reporting import defects_logged, notices, told
from sardino_core.terminal import JsonVoice, PlainVoice, Voice


def main(argv: Sequence[str] | None = None, prog: str = "sardino", only: Sequence[str] = ()) -> int:
    """Run one command; returns the exit status: 0 done, 1 an error that was told in one line, 2 wrong usage.

    `only` narrows the commands down, for programs of another name.
    """
    arguments = parse(argv, prog, only)
    if arguments.command == "worker":
        from sardino_core.worker import serve

        return serve(arguments.idle)
    signal.signal(signal.SIGTERM, _interrupt)
    voice: Voice = JsonVoice() if arguments.json else PlainVoice()
    try:
        voice.hello()
        with _logging(arguments.log, voice), defects_logged():
            _COMMANDS[arguments.command](arguments, voice)
    except BaseException as error:
        with suppress(OSError):  # whoever should hear it may have gone
            voice.failure(told(error, "run again with --log FILE and report it with that file"))
        _give_up_stdout()
        return 1
    return 0


def _give_up_stdout() -> None:
    """Where stdout takes nothing, point it nowhere: Python would try again at its end, and fail with a traceback."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _segment(arguments: Namespace, voice: Voice) -> None:
    job = SegmentJob(
        _scene(arguments),
        _run(arguments),
        arguments.output,
        confidence=arguments.confidence,
        probabilities=arguments.probabilities,
        abstain=not arguments.no_abstain,
    )
    if arguments.each:
        from sardino_core.batch import segment_each

        result = segment_each(job, voice)
        voice.result(result, list(result.outputs.values()))
    else:
        result = run_job(job, voice)
        voice.result(result, _class_lines(result))


def _attention(arguments: Namespace, voice: Voice) -> None:
    job = AttentionJob(
        _scene(arguments), _run(arguments), arguments.output, arguments.layer, arguments.heads, arguments.resolution
    )
    voice.result(run_job(job, voice), [arguments.output])


def _embed(arguments: Namespace, voice: Voice) -> None:
    job = EmbedJob(_scene(arguments), _run(arguments), arguments.output, arguments.components, arguments.dtype)
    voice.result(run_job(job, voice), [arguments.output])


def _explore(arguments: Namespace, voice: Voice) -> None:
    job = ExploreJob(
        _scene(arguments),
        _run(arguments),
        arguments.output,
        arguments.at,
        arguments.mode,
        arguments.layer,
        arguments.head,
    )
    result = run_job(job, voice)
    voice.result(result, [arguments.output, f"  {result.values['told']}"])


def _classify(arguments: Namespace, voice: Voice) -> None:
    job = ClassifyJob(
        _scene(arguments),
        _run(arguments),
        arguments.output,
        training=arguments.training,
        field_name=arguments.field,
        features=arguments.features,
        method=arguments.method,
        classifier=arguments.classifier,
        save_classifier=arguments.save_classifier,
        confidence=arguments.confidence,
        report=arguments.report,
        seed=arguments.seed,
    )
    result = run_job(job, voice)
    voice.result(result, [*_class_lines(result), *result.values["summary"]])


def _cluster(arguments: Namespace, voice: Voice) -> None:
    job = ClusterJob(
        _scene(arguments),
        _run(arguments),
        arguments.output,
        arguments.clusters,
        arguments.codebook,
        arguments.save_codebook,
        arguments.refine,
    )
    result = run_job(job, voice)
    voice.result(result, _class_lines(result))


def _similarity(arguments: Namespace, voice: Voice) -> None:
    job = SimilarityJob(
        _scene(arguments),
        _run(arguments),
        arguments.output,
        arguments.references,
        tuple(arguments.reference_scene),
        arguments.name_field,
    )
    result = run_job(job, voice)
    voice.result(result, [arguments.output, "  " + ", ".join(result.values["references"])])


def _simulate(arguments: Namespace, voice: Voice) -> None:
    job = SimulateJob(
        arguments.output,
        arguments.size,
        arguments.seed,
        arguments.orbit,
        arguments.season,
        arguments.all_seasons,
        arguments.take,
    )
    result = run_job(job, voice)
    voice.result(result, [*result.outputs.values(), "simulated: for tests and demonstrations"])


def _preflight(arguments: Namespace, voice: Voice) -> None:
    result = run_job(PreflightJob(_scene(arguments), _run(arguments), arguments.output), voice)
    lines = [Finding(**item).line() for item in result.values["findings"]]
    voice.result(result, [*lines, *result.outputs.values()])


def _samplepoints(arguments: Namespace, voice: Voice) -> None:
    job = SamplePointsJob(
        arguments.classified, arguments.output, arguments.size, arguments.minimum, arguments.seed, arguments.blind
    )
    result = run_job(job, voice)
    counts = [f"{item['name']} {item['points']}" for item in result.values["classes"]]
    voice.result(result, [arguments.output, "  " + ", ".join(counts)])


def _accuracy(arguments: Namespace, voice: Voice) -> None:
    job = AccuracyJob(arguments.classified, arguments.reference, arguments.output, arguments.mapping, arguments.field)
    result = run_job(job, voice)
    voice.result(result, [*result.values["summary"], *result.outputs.values()])


def _mergeclasses(arguments: Namespace, voice: Voice) -> None:
    job = MergeClassesJob(arguments.classified, arguments.output, tuple(arguments.classes), arguments.format)
    result = run_job(job, voice)
    voice.result(result, _class_lines(result))


def _composite(arguments: Namespace, voice: Voice) -> None:
    job = CompositeJob(
        tuple(arguments.inputs),
        arguments.output,
        arguments.by,
        arguments.orbit,
        arguments.filter,
        arguments.quality,
        tuple(arguments.dates),
        arguments.grid,
        arguments.extent,
        arguments.bands,
        arguments.units,
        arguments.format,
    )
    result = run_job(job, voice)
    counts = [f"  {name}: {count} date{'s'[: count != 1]}" for name, count in result.values["dates"].items()]
    voice.result(result, [*result.outputs.values(), *counts])


def _change(arguments: Namespace, voice: Voice) -> None:
    job = ChangeJob(
        tuple(arguments.before),
        tuple(arguments.after),
        _run(arguments),
        arguments.output,
        arguments.false_alarm,
        tuple(arguments.dates),
        arguments.extent,
        arguments.bands,
        arguments.units,
    )
    result = run_job(job, voice)
    voice.result(result, [*result.outputs.values(), f"  {result.values['summary']}"])


def _pretrain(arguments: Namespace, voice: Voice) -> None:
    job = PretrainJob(
        arguments.out,
        tuple(arguments.images),
        arguments.config,
        arguments.init,
        arguments.epochs,
        arguments.resume,
        arguments.dry_run,
        arguments.overrides,
        arguments.bands,
        arguments.units,
    )
    result = run_job(job, voice)
    voice.result(result, _training_lines(result))


def _finetune(arguments: Namespace, voice: Voice) -> None:
    job = FinetuneJob(
        arguments.out,
        arguments.init,
        tuple(arguments.images),
        tuple(arguments.labels),
        arguments.config,
        arguments.epochs,
        arguments.label_fraction,
        arguments.resume,
        arguments.dry_run,
        arguments.overrides,
        arguments.bands,
        arguments.units,
    )
    result = run_job(job, voice)
    voice.result(result, _training_lines(result))


def _evaluate(arguments: Namespace, voice: Voice) -> None:
    job = EvaluateJob(
        arguments.out,
        arguments.model,
        tuple(arguments.images),
        tuple(arguments.labels),
        arguments.config,
        arguments.held_out,
        arguments.overrides,
        arguments.bands,
        arguments.units,
    )
    result = run_job(job, voice)
    voice.result(result, _training_lines(result))


def _probe(arguments: Namespace, voice: Voice) -> None:
    job = ProbeJob(
        arguments.out,
        arguments.model,
        tuple(arguments.images),
        tuple(arguments.labels),
        arguments.config,
        arguments.overrides,
    )
    result = run_job(job, voice)
    voice.result(result, [*result.values["summary"], *result.outputs.values()])


def _model(arguments: Namespace, voice: Voice) -> None:
    {"info": _model_info, "export": _model_export, "import": _model_import}[arguments.action](arguments, voice)


def _model_info(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.contract.serial import to_dict
    from sardino_core.model_card import card
    from sardino_core.models.model_file import read_spec, resolve_model

    path = resolve_model(arguments.model)
    spec = read_spec(path)
    voice.result(Result({}, to_dict(spec)), card(spec, path))


def _model_export(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.environment import require_packages
    from sardino_core.models.model_file import resolve_model

    path = resolve_model(arguments.model)
    require_packages("model export", "torch", ("torch", "timm", "onnx", "onnxscript"))
    from sardino_core.models.export import export_onnx

    export = str(export_onnx(path))
    voice.result(Result({"export": export}), [export])


def _model_import(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.models.devices import has_torch

    if not has_torch():
        raise DependencyMissing("Importing weights needs torch and timm.", "Install the extra `sardino[torch]`.")
    from sardino_core.contract.serial import to_dict
    from sardino_core.model_card import card
    from sardino_core.models.importing.weights_import import UNKNOWN_LICENCE, ImportOptions, import_weights

    found = import_weights(
        ImportOptions(
            source=arguments.source,
            output=arguments.output,
            format=arguments.format,
            bands=arguments.bands,
            window=arguments.window,
            dtype=arguments.dtype,
            licence=arguments.licence or UNKNOWN_LICENCE,
        ),
        voice,
    )
    outputs = {"output": str(found.model), "export": str(found.export)}
    values = {"format": found.format.name, "report": found.report.values(), "model": to_dict(found.spec)}
    voice.result(Result(outputs, values), [*found.report.lines(), *card(found.spec, found.model), str(found.model)])


def _check(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.environment import findings

    found = findings()
    values = {item.name: {"ok": item.ok, "found": item.found, "fix": item.fix} for item in found}
    voice.result(Result({}, values), [item.line() for item in found])


_COMMANDS: dict[str, Callable[[Namespace, Voice], None]] = {
    "segment": _segment,
    "attention": _attention,
    "embed": _embed,
    "explore": _explore,
    "classify": _classify,
    "cluster": _cluster,
    "similarity": _similarity,
    "simulate": _simulate,
    "preflight": _preflight,
    "samplepoints": _samplepoints,
    "accuracy": _accuracy,
    "mergeclasses": _mergeclasses,
    "composite": _composite,
    "change": _change,
    "pretrain": _pretrain,
    "finetune": _finetune,
    "evaluate": _evaluate,
    "probe": _probe,
    "model": _model,
    "check": _check,
}


def _scene(arguments: Namespace) -> SceneOptions:
    return SceneOptions(
        inputs=tuple(arguments.inputs),
        bands=arguments.bands,
        units=arguments.units,
        extent=arguments.extent,
        cutline=arguments.cutline,
        mask=arguments.mask,
    )


def _run(arguments: Namespace) -> RunOptions:
    return RunOptions(
        model=arguments.model,
        overlap=arguments.overlap,
        batch_size=arguments.batch_size,
        device=arguments.device,
        precision=arguments.precision,
        format=arguments.format,
        overviews=arguments.overviews,
    )


def _class_lines(result: Result) -> list[str]:
    pixels: dict[str, int] = result.values["pixels"]
    total = sum(pixels.values())
    shares = [f"{name} {count / total:.1%}" for name, count in pixels.items() if count]
    return [result.outputs["output"], "  " + ", ".join(shares)]


def _training_lines(result: Result) -> list[str]:
    files = [f"{role}: {path}" for role, path in result.outputs.items()]
    return files + [f"  {name}: {value:.4g}" for name, value in result.values.items()]


@contextmanager
def _logging(path: str | None, voice: Voice) -> Iterator[None]:
    """While a command runs: everything to the log file if there is one, the library's warnings to the user."""
    to_file: logging.Handler = logging.NullHandler()
    if path is not None:
        try:
            to_file = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise OutputUnwritable(f"The log {path} cannot be written ({error.strerror}).") from error
    try:
        with notices(voice, to_file):
            yield
    finally:
        to_file.close()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
