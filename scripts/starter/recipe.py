"""What a work folder was made by, so that nothing made by another recipe is taken for this one's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sardino_core.contract.errors import SettingInvalid
from sardino_core.models.model_file import write_aside
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.settings.pretrain_config import PretrainConfig
from sardino_core.training.settings.yaml_config import dump_config

_FILE = "recipe.yaml"


def require_same(folder: Path, *parts: FinetuneConfig | PretrainConfig | str) -> None:
    """Leave the recipe in the folder, or compare it with the one that is there. Paths and words about it may differ.

    `parts` are configurations and plain lines of text. Raises SettingInvalid where the folder was made by another one.
    """
    told = "---\n".join(part if isinstance(part, str) else dump_config(_bare(part)) for part in parts)
    kept = folder / _FILE
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_aside(kept, told.encode())
        return
    before = kept.read_text(encoding="utf-8")
    if before != told:
        pairs = zip(before.splitlines(), told.splitlines(), strict=False)
        first = next(((old, new) for old, new in pairs if old != new), ("", "more"))
        raise SettingInvalid(
            f"{folder} was made by another recipe: {first[0].strip()!r} there, {first[1].strip()!r} now.",
            "Choose another --work, or remove the folder.",
        )


def _bare(config: FinetuneConfig | PretrainConfig) -> FinetuneConfig | PretrainConfig:
    """What trains."""
    return replace(config, paths={}, licence="", attribution="", limits="", notes=())
