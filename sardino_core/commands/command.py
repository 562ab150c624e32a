"""A subcommand: what the list of commands says of it, its options, and what it does with what was given."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sardino_core.contract.jobs import Job
from sardino_core.contract.messages import Result
from sardino_core.dispatch import run_job
from sardino_core.terminal import Voice

if TYPE_CHECKING:
    from argparse import _SubParsersAction

Lines = Callable[[Result], list[str]]  # a result as a person reads it


@dataclass(frozen=True)
class Command:
    """One subcommand, or an action of one."""

    text: str
    add: Callable[[ArgumentParser], None]  # its options
    run: Callable[[Namespace, Voice], None]
    description: str | None = None  # above its options

    def add_to(self, commands: _SubParsersAction[ArgumentParser], name: str) -> None:
        """Make it one of a parser's subcommands."""
        self.add(commands.add_parser(name, help=self.text, description=self.description))


def of_job(
    text: str,
    add: Callable[[ArgumentParser], None],
    job: Callable[[Namespace], Job],
    lines: Lines,
    description: str | None = None,
) -> Command:
    """The command that does one job, and tells its result."""
    return Command(text, add, lambda arguments, voice: do(job(arguments), voice, lines), description)


def do(job: Job, voice: Voice, lines: Lines) -> None:
    """Run a job of the library and tell its result."""
    result = run_job(job, voice)
    voice.result(result, lines(result))


def output_lines(result: Result) -> list[str]:
    """Where the files are."""
    return list(result.outputs.values())


def class_lines(result: Result) -> list[str]:
    """Where the map is, and how much of it is of each class."""
    pixels: dict[str, int] = result.values["pixels"]
    total = sum(pixels.values())
    shares = [f"{name} {count / total:.1%}" for name, count in pixels.items() if count]
    return [result.outputs["output"], "  " + ", ".join(shares)]
