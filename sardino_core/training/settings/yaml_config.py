"""Typed configurations from YAML, with `key.inner=value` overrides; every wrong key or value is named. No torch.

For any frozen dataclass: fine-tuning's and pre-training's are read by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.serial import from_dict, to_dict

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
T = TypeVar("T")


def read_config(kind: type[T], name_or_path: str | Path, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file, or the one of that name that ships, apply the overrides, and build the dataclass `kind`."""
    import yaml

    path = _find(str(name_or_path))
    try:
        data = _parse(path.read_text(encoding="utf-8"))
        for override in overrides:
            _override(data, override)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingInvalid(f"{path.name} is not valid YAML ({str(error).splitlines()[0]}).") from error
    return from_dict(kind, data)


def with_overrides(config: T, overrides: Sequence[str]) -> T:
    """The same dataclass with `key.inner=value` overrides applied. Raises SettingInvalid."""
    data = to_dict(config)
    for override in overrides:
        _override(data, override)
    return from_dict(type(config), data)


def dump_config(config: Any) -> str:
    """The configuration as YAML that `read_config` reads back."""
    import yaml

    return str(yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True))


def require_positive(key: str, value: float) -> None:
    """Raises SettingInvalid, naming the key."""
    if not value > 0:
        raise SettingInvalid(f"{key} is {value}; it must be greater than 0.")


def require_within(key: str, value: float, low: float, high: float) -> None:
    """Raises SettingInvalid, naming the key and the range."""
    if not low <= value <= high:
        raise SettingInvalid(f"{key} is {value}; allowed is {low:g} to {high:g}.")


def _parse(text: str) -> Any:
    """YAML, with 1e-3 read as the number that everyone means (YAML 1.1 wants 1.0e-3)."""
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader and one more way to write a number."""

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
    )
    return yaml.load(text, Loader)  # a SafeLoader


def _find(name: str) -> Path:
    shipped = CONFIGS / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    path = Path(name).expanduser()
    if path.is_file():
        return path
    names = ", ".join(sorted(item.stem for item in CONFIGS.glob("*.yaml")))
    raise InputMissing(f"The configuration {name} does not exist; there are {names}.", "Give one of them, or a path.")


def _override(data: Any, override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise SettingInvalid(f"{override!r} is no override; it must read key=value, as in optimiser.steps=200.")
    place, *inner = reversed(key.split("."))
    for part in reversed(inner):
        data = _step_into(data, part, key)
    if isinstance(data, list):
        data[_index(data, place, key)] = _parse(text)
    elif isinstance(data, dict):
        data[place] = _parse(text)
    else:
        raise SettingInvalid(f"The override {key} leads into a plain value, which has no {place!r}.")


def _step_into(data: Any, part: str, key: str) -> Any:
    if isinstance(data, list):
        return data[_index(data, part, key)]
    if isinstance(data, dict):
        return data.setdefault(part, {})
    raise SettingInvalid(f"The override {key} leads into a plain value, which has no {part!r}.")


def _index(data: Sequence[Any], part: str, key: str) -> int:
    if part.isdigit() and int(part) < len(data):
        return int(part)
    raise SettingInvalid(f"The override {key} needs a number from 0 to {len(data) - 1} where it has {part!r}.")
