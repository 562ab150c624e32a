"""From a job to the library function that does it, for the command line and the worker alike.

Nothing heavy is imported before a job needs it. Not for text: how a result is told is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sardino_core.contract.errors import SettingInvalid
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
    Job,
    MergeClassesJob,
    PreflightJob,
    PretrainJob,
    ProbeJob,
    SamplePointsJob,
    SegmentJob,
    SimilarityJob,
    SimulateJob,
)
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result


def run_job(job: Job, listener: Listener | None = None) -> Result:
    """Do `job` in this process and return what it made. Raises SardinoError; Cancelled when the listener wants it."""
    try:
        run = _RUN[type(job)]
    except KeyError:
        raise SettingInvalid(f"{type(job).__name__} is no job that can be run.") from None
    return run(job, listener or Listener())


def _segment(job: SegmentJob, listener: Listener) -> Result:
    from sardino_core.inference import segment

    return segment(job, listener)


def _attention(job: AttentionJob, listener: Listener) -> Result:
    from sardino_core.inference import attention

    return attention(job, listener)


def _embed(job: EmbedJob, listener: Listener) -> Result:
    from sardino_core.inference import embed

    return embed(job, listener)


def _explore(job: ExploreJob, listener: Listener) -> Result:
    from sardino_core.explore import explore

    return explore(job, listener)


def _classify(job: ClassifyJob, listener: Listener) -> Result:
    from sardino_core.environment import require_packages

    require_packages("classify", "explore", ("sklearn", "skops"))
    from sardino_core.classify import classify

    return classify(job, listener)


def _cluster(job: ClusterJob, listener: Listener) -> Result:
    from sardino_core.environment import require_packages

    if job.codebook is None:
        require_packages("cluster", "explore", ("sklearn",))
    from sardino_core.cluster import cluster

    return cluster(job, listener)


def _similarity(job: SimilarityJob, listener: Listener) -> Result:
    from sardino_core.similarity import similarity

    return similarity(job, listener)


def _simulate(job: SimulateJob, listener: Listener) -> Result:
    from sardino_core.simulate import simulate_scene

    files = simulate_scene(job, listener.progress, listener.cancelled)
    return Result({role: str(path) for role, path in files.items()}, {"simulated": True})


def _pretrain(job: PretrainJob, listener: Listener) -> Result:
    from sardino_core.training.settings.pretrain_config import load_pretrain_config, with_images
    from sardino_core.training.settings.yaml_config import read_as
    from sardino_core.training.windows.sources import expand

    settings = [*job.settings, *_given("optimiser.epochs", job.epochs)]
    config = read_as(with_images(load_pretrain_config(job.config, settings), job.images), job.bands, job.units)
    for source in config.sources:
        expand(source.images, config.paths, source.name, "images")  # before torch is paid for
    if job.dry_run:
        from sardino_core.training.dino.plan import plan

        plan(config, listener, job.init)
        return Result()
    from sardino_core.training.pretrain import pretrain

    return pretrain(config, job.output, job.resume, listener, job.init)


def _finetune(job: FinetuneJob, listener: Listener) -> Result:
    from sardino_core.training.settings.finetune_config import load_config, with_rasters
    from sardino_core.training.settings.yaml_config import read_as
    from sardino_core.training.windows.sources import expand

    settings = [*job.settings, *_given("label_fraction", job.label_fraction), *_given("optimiser.epochs", job.epochs)]
    config = read_as(with_rasters(load_config(job.config, settings), job.images, job.labels), job.bands, job.units)
    for source in config.sources:
        expand(source.images, config.paths, source.name, "images")
    if job.dry_run:
        from sardino_core.training.landcover.plan import finetune_plan

        finetune_plan(config, job.init, listener)
        return Result()
    from sardino_core.training.finetune import finetune

    return finetune(config, job.init, job.output, job.resume, listener)


def _given(key: str, value: float | None) -> list[str]:
    """An option of the command line as an override of the configuration."""
    return [] if value is None else [f"{key}={value}"]


def _evaluate(job: EvaluateJob, listener: Listener) -> Result:
    from sardino_core.models.model_file import resolve_model

    resolve_model(job.model)  # before torch is paid for
    from sardino_core.training.evaluate import evaluate, settings_for_evaluation
    from sardino_core.training.settings.finetune_config import load_config, with_rasters
    from sardino_core.training.settings.yaml_config import read_as

    if job.config is None:
        if job.settings or job.held_out:
            what = job.settings[0] if job.settings else "--held-out"
            raise SettingInvalid(f"{what} belongs to a configuration, and none is named.", "Name one with --config.")
        config = settings_for_evaluation(job.model, job.images, job.labels)
    else:
        config = with_rasters(load_config(job.config, job.settings), job.images, job.labels)
    config = read_as(config, job.bands, job.units)
    return evaluate(job.model, config, job.output, listener, all_labels=not job.held_out)


def _probe(job: ProbeJob, listener: Listener) -> Result:
    from sardino_core.environment import require_packages
    from sardino_core.models.model_file import resolve_model

    resolve_model(job.model)  # before torch is paid for
    require_packages("probe", "torch", ("torch", "timm"))
    require_packages("probe", "explore", ("sklearn", "matplotlib"))
    from sardino_core.probe import probe

    return probe(job, listener)


def _preflight(job: PreflightJob, listener: Listener) -> Result:
    from sardino_core.preflight import preflight

    return preflight(job, listener)


def _samplepoints(job: SamplePointsJob, listener: Listener) -> Result:
    from sardino_core.analysis.samplepoints import samplepoints

    return samplepoints(job, listener)


def _accuracy(job: AccuracyJob, listener: Listener) -> Result:
    from sardino_core.analysis.accuracy import accuracy

    return accuracy(job, listener)


def _mergeclasses(job: MergeClassesJob, listener: Listener) -> Result:
    from sardino_core.analysis.mergeclasses import mergeclasses

    return mergeclasses(job, listener)


def _composite(job: CompositeJob, listener: Listener) -> Result:
    from sardino_core.composite import composite

    return composite(job, listener)


def _change(job: ChangeJob, listener: Listener) -> Result:
    from sardino_core.change import change

    return change(job, listener)


_RUN: dict[type, Callable[[Any, Listener], Result]] = {
    SegmentJob: _segment,
    AttentionJob: _attention,
    EmbedJob: _embed,
    ExploreJob: _explore,
    ClassifyJob: _classify,
    ClusterJob: _cluster,
    SimilarityJob: _similarity,
    SimulateJob: _simulate,
    PretrainJob: _pretrain,
    FinetuneJob: _finetune,
    EvaluateJob: _evaluate,
    ProbeJob: _probe,
    PreflightJob: _preflight,
    SamplePointsJob: _samplepoints,
    AccuracyJob: _accuracy,
    MergeClassesJob: _mergeclasses,
    CompositeJob: _composite,
    ChangeJob: _change,
}
