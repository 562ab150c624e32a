"""The machine itself, and programs on it: `check`, `worker`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from sardino_core.commands.command import Command
from sardino_core.commands.options import common_options
from sardino_core.contract.messages import Result
from sardino_core.terminal import Voice

if TYPE_CHECKING:
    from argparse import _SubParsersAction

WORKER = "worker"


def _check(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.environment import findings

    found = findings()
    values = {item.name: {"ok": item.ok, "found": item.found, "fix": item.fix} for item in found}
    voice.result(Result({}, values), [item.line() for item in found])


COMMANDS = {"check": Command("Python, packages, devices, memory: what works, and the fix", common_options, _check)}


def add_worker(commands: _SubParsersAction[ArgumentParser]) -> None:
    """`worker`, which is no Command: it has no voice of its own, and takes stdin and stdout for itself."""
    parser = commands.add_parser(WORKER, help="for programs: jobs on stdin, messages on stdout, one line of JSON each")
    parser.add_argument("--idle", type=float, default=600.0, metavar="S", help="ends after S seconds; default: 600")


def serve(arguments: Namespace) -> int:
    """Do the worker's jobs; returns the exit status."""
    from sardino_core.worker import serve

    return serve(arguments.idle)
