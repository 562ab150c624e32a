"""Runs in processes of their own, and what they leave behind: for tests that kill, resume and split them."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from sardino_core.contract.listener import Listener
from sardino_core.training.settings.yaml_config import dump_config

ROOT = Path(__file__).resolve().parents[2]
# Exporting takes longer than these runs.
PRETRAIN = """
import sys
from sardino_core.training import pretrain
from sardino_core.training.settings.pretrain_config import load_pretrain_config
pretrain.export_onnx = lambda model: model
print(pretrain.pretrain(load_pretrain_config(sys.argv[1]), sys.argv[2], resume="--resume" in sys.argv).outputs)
"""
FINETUNE = """
import sys
from sardino_core.training import finetune
from sardino_core.training.settings.finetune_config import load_config
finetune.export_onnx = lambda model: model
print(finetune.finetune(load_config(sys.argv[1]), "scratch", sys.argv[2], resume="--resume" in sys.argv).outputs)
"""


class Ear(Listener):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, level: str, message: str) -> None:
        self.said.append(f"{level}: {message}")


def child(code: str, config: Any, folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A process that runs `code` with a configuration and a run folder."""
    folder.parent.mkdir(exist_ok=True)
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(dump_config(config))
    command = [sys.executable, "-c", code, str(path), str(folder), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, **pipes)


def crew_of_two(code: str, config: Any, folder: Path) -> None:
    """The same run in two processes that talk to each other, as torchrun starts them; until both have ended well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    crew = [
        child(code, config, folder, MASTER_ADDR="127.0.0.1", MASTER_PORT=port, WORLD_SIZE="2", RANK=r, LOCAL_RANK=r)
        for r in "01"
    ]
    ends = [process.communicate(timeout=120) for process in crew]
    assert [process.returncode for process in crew] == [0, 0], ends


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until a file is there or the process has ended."""
    for _ in range(1200):
        if path.exists() or process.poll() is not None:
            return
        time.sleep(0.05)


def column(folder: Path, name: str) -> list[float]:
    """The numbers of a column of metrics.csv; rows without it are left out."""
    with open(folder / "metrics.csv", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def checkpoint(folder: Path) -> dict[str, Any]:
    """What a checkpoint holds."""
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)["state"]
    return state


def same(first: Path, second: Path) -> bool:
    """Whether the checkpoints of two runs are equal, bit for bit."""
    return _equal(checkpoint(first), checkpoint(second))


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(
            _equal(value, second[key]) for key, value in first.items() if key != "wait_s"
        )
    if isinstance(first, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
