"""Train and judge models: `sardino pretrain`, `finetune`, `evaluate`, `probe`, without installing and with torchrun.

python scripts/train.py pretrain --config pretrain-tiny --images 'scenes/*.tif' --out backbone
torchrun --nproc-per-node 4 scripts/train.py pretrain --config pretrain-small --images 'scenes/*.tif' --out backbone
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sardino_core.cli import main
from sardino_core.commands.training import COMMANDS

if __name__ == "__main__":
    raise SystemExit(main(prog="train.py", only=tuple(COMMANDS)))
