"""Typed configurations from YAML, with `key.inner=value` overrides; every wrong key or value is named. No torch.

For any frozen dataclass: fine-tuning's and pre-training's are read by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.serial import from_dict, to_dict

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
T = TypeVar("T")


def read_config(kind: type[T], name_or_path: str | Path, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file, or the one of that name that ships, apply the overrides, and build the dataclass `kind`."""
    path = _find(str(name_or_path))
    try:
        data = _parse(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise SettingInvalid(f"{path.name} is no text in UTF-8.") from error
    if not isinstance(data, dict):
        raise SettingInvalid(f"{path.name} holds no settings; it must be lines of `key: value`.")
    for override in overrides:
        _override(data, override)
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


def read_as(config: T, bands: Mapping[str, int], units: str) -> T:
    """The configuration with all its sources read so; unchanged for no bands and units `auto`."""
    changes: dict[str, Any] = {"bands": dict(bands)} if bands else {}
    changes |= {"units": units} if units != "auto" else {}
    sources = tuple(replace(source, **changes) for source in config.sources)  # type: ignore[attr-defined]
    return replace(config, sources=sources)  # type: ignore[type-var]


def require_positive(key: str, value: float) -> None:
    """Raises SettingInvalid, naming the key."""
    if not value > 0:
        raise SettingInvalid(f"{key} is {value}; it must be greater than 0.")


def require_within(key: str, value: float, low: float, high: float) -> None:
    """Raises SettingInvalid, naming the key and the range."""
    if not low <= value <= high:
        raise SettingInvalid(f"{key} is {value}; allowed is {low:g} to {high:g}.")


def require_none_negative(*parts: tuple[str, object, Sequence[str]]) -> None:
    """Parts of a configuration with the names of keys that may be 0, but not less. Raises SettingInvalid."""
    for where, part, names in parts:
        for name in names:
            value = getattr(part, name)
            if value < 0:
                raise SettingInvalid(f"{where}.{name} is {value}; it must not be negative.")


def require_seed_and_betas(seed: int, betas: tuple[float, float]) -> None:
    """What torch's generators and AdamW take. Raises SettingInvalid."""
    if not 0 <= seed < 1 << 63:
        raise SettingInvalid(f"seed is {seed}; allowed is 0 to {(1 << 63) - 1}.")
    for index, beta in enumerate(betas):
        require_within(f"optimiser.betas[{index}]", beta, 0, 0.999999)


def _parse(text: str, what: str) -> Any:
    """YAML with the plain words of its version 1.2: `off` is a word, 1e-3 is a number. Raises SettingInvalid.

    PyYAML's version, 1.1, takes `off` for false and wants 1.0e-3.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader with other rules for plain words."""

        yaml_implicit_resolvers = {  # noqa: RUF012
            first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:bool"]
            for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
    )
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
    )
    try:
        return yaml.load(text, Loader)  # nosec B506
    except RecursionError as error:
        raise SettingInvalid(f"{what} is nested too deeply.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a number or date that Python refuses
        raise SettingInvalid(f"{what} is not valid YAML ({str(error).splitlines()[0]}).") from error


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
        data[_index(data, place, key)] = _parse(text, f"The override {override}")
    elif isinstance(data, dict):
        data[place] = _parse(text, f"The override {override}")
    else:
        raise SettingInvalid(f"The override {key} leads into a plain value, which has no {place!r}.")


def _step_into(data: Any, part: str, key: str) -> Any:
    if isinstance(data, list):
        return data[_index(data, part, key)]
    if isinstance(data, dict):
        return data.setdefault(part, {})
    raise SettingInvalid(f"The override {key} leads into a plain value, which has no {part!r}.")


def _index(data: Sequence[Any], part: str, key: str) -> int:
    if part.isdecimal() and int(part) < len(data):
        return int(part)
    raise SettingInvalid(f"The override {key} needs a number from 0 to {len(data) - 1} where it has {part!r}.")
