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
from sardino_core.contract.errors import (
    Cancelled,
    DependencyMissing,
    OutOfMemory,
    OutputUnwritable,
    SardinoError,
)
from sardino_core.contract.jobs import AttentionJob, EmbedJob, RunOptions, SceneOptions, SegmentJob, SimulateJob
from sardino_core.contract.messages import Result
from sardino_core.terminal import JsonVoice, PlainVoice, Voice


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 an error that was told in one line, 2 wrong usage."""
    arguments = parse(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    voice: Voice = JsonVoice() if arguments.json else PlainVoice()
    try:
        voice.hello()
        with _logging(arguments.log, voice):
            _run_command(arguments, voice)
    except BaseException as error:
        with suppress(OSError):  # whoever should hear it may have gone
            voice.failure(_told(error))
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


def _run_command(arguments: Namespace, voice: Voice) -> None:
    try:
        _COMMANDS[arguments.command](arguments, voice)
    except Exception as error:
        if not isinstance(error, (SardinoError, OSError, MemoryError)):
            logging.getLogger(__name__).exception("unexpected error")
        raise


def _told(error: BaseException) -> SardinoError:
    """The error as the user is told it. Raises what is none of an error, such as the end of the process."""
    if isinstance(error, SardinoError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled("The run was stopped; nothing half-written was left behind.")
    if isinstance(error, MemoryError):
        return OutOfMemory("The memory is used up.", "Use a smaller --batch-size, or close other programs.")
    if isinstance(error, OSError):
        return OutputUnwritable(f"The operating system refused to read or write ({error.strerror or error}).")
    if not isinstance(error, Exception):
        raise error
    # A defect: one line for the user; the traceback is in the log, for whoever mends it.
    what = f"Unexpected {type(error).__name__}: {error}."
    return SardinoError(what, "This is a defect; run again with --log FILE and report it with that file.")


def _segment(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.batch import segment_each
    from sardino_core.inference import segment

    job = SegmentJob(
        _scene(arguments),
        _run(arguments),
        arguments.output,
        confidence=arguments.confidence,
        probabilities=arguments.probabilities,
        abstain=not arguments.no_abstain,
    )
    if arguments.each:
        result = segment_each(job, voice)
        voice.result(result, list(result.outputs.values()))
    else:
        result = segment(job, voice)
        voice.result(result, _class_lines(result))


def _attention(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.inference import attention

    job = AttentionJob(
        _scene(arguments), _run(arguments), arguments.output, arguments.layer, arguments.heads, arguments.resolution
    )
    voice.result(attention(job, voice), [arguments.output])


def _embed(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.inference import embed

    job = EmbedJob(_scene(arguments), _run(arguments), arguments.output, arguments.components, arguments.dtype)
    voice.result(embed(job, voice), [arguments.output])


def _simulate(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.simulate import simulate_scene

    job = SimulateJob(
        arguments.output, arguments.size, arguments.seed, arguments.orbit, arguments.season, arguments.all_seasons
    )
    files = simulate_scene(job, voice.progress, voice.cancelled)
    outputs = {role: str(path) for role, path in files.items()}
    voice.result(Result(outputs, {"simulated": True}), [*outputs.values(), "simulated: for tests and demonstrations"])


def _model(arguments: Namespace, voice: Voice) -> None:
    {"info": _model_info, "import": _model_import}[arguments.action](arguments, voice)


def _model_info(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.contract.serial import to_dict
    from sardino_core.model_card import card
    from sardino_core.models.model_file import read_spec, resolve_model

    path = resolve_model(arguments.model)
    spec = read_spec(path)
    voice.result(Result({}, to_dict(spec)), card(spec, path))


def _model_import(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.models.devices import has_torch

    if not has_torch():
        raise DependencyMissing("Importing weights needs torch and timm.", "Install the extra `sardino[torch]`.")
    from sardino_core.contract.serial import to_dict
    from sardino_core.model_card import card
    from sardino_core.models.weights_import import UNKNOWN_LICENCE, ImportOptions, import_weights

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
    "simulate": _simulate,
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


class _Notices(logging.Handler):
    """The library's own warnings concern the user; those of GDAL and other packages go to the log file alone."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(logging.WARNING)
        self.voice = voice

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != __name__:
            self.voice.log("warning", record.getMessage())


@contextmanager
def _logging(path: str | None, voice: Voice) -> Iterator[None]:
    """While a command runs: everything to the log file if there is one, the library's warnings to the user."""
    root, library = logging.getLogger(), logging.getLogger("sardino_core")
    to_file: logging.Handler = logging.NullHandler()
    if path is not None:
        try:
            to_file = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise OutputUnwritable(f"The log {path} cannot be written ({error.strerror}).") from error
        to_file.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    to_user, level = _Notices(voice), root.level
    root.addHandler(to_file)
    library.addHandler(to_user)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        library.removeHandler(to_user)
        root.removeHandler(to_file)
        to_file.close()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
