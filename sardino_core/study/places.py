"""The places of a study: which train, which choose settings, which test, and whose images pre-training sees. No torch.

Simulated ones are made here; how one's own and the real tiles become places is `given_places`'s business.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sardino_core.contract.errors import Cancelled, SettingInvalid
from sardino_core.contract.jobs import SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.simulate import simulate_missing, varied
from sardino_core.study.config import PlacesConfig, StudyConfig
from sardino_core.training.settings.finetune_config import SourceConfig
from sardino_core.training.settings.pretrain_config import ImageConfig

Role = Literal["train", "validation", "test", "real"]
GO_ON = "The same command goes on from there."


@dataclass(frozen=True)
class Place:
    """One place, its scenes and labels; `source` names the files of this place alone."""

    name: str
    role: Role
    source: SourceConfig
    seen: bool = False  # a test place whose images are among those of pre-training
    stamp: str = ""  # of files that this program has not made: sizes and times, to tell when they change

    @property
    def pretrains(self) -> bool:
        """Whether its images are among those of pre-training."""
        return self.role == "train" or self.seen


def paths_of(config: StudyConfig, out: Path) -> dict[str, str]:
    """What `{name}` in the places' patterns stands for; `{work}` is the study's folder."""
    return {**config.finetune.paths, "work": glob.escape(str(out))}


def simulated_places(config: StudyConfig, out: Path) -> tuple[Place, ...]:
    """Places below `out`, known by their seeds; the files need not be there yet."""
    if len(config.finetune.sources) != 1:
        raise SettingInvalid("finetune.sources must name images, or be one source for the simulated places.")
    found = []
    for job, role in _jobs(config.places, out):
        folder = f"{{work}}/{Path(job.output).relative_to(out).as_posix()}"
        source = replace(
            config.finetune.sources[0],
            images=(f"{folder}/scene.tif",),
            labels=(f"{folder}/labels.tif",),
            units="db",
            hold_out=0.0,
        )
        found.append(Place(Path(job.output).name, role, source))
    return with_seen(found, config.places.seen)


def simulate(config: StudyConfig, out: Path, listener: Listener) -> None:
    """Make those of them that are missing. Raises Cancelled, and says what is kept."""
    jobs = [job for job, _ in _jobs(config.places, out)]
    try:
        simulate_missing(jobs, listener)
    except Cancelled as error:
        made = sum((Path(job.output) / "labels.tif").exists() for job in jobs)
        what = f"{made} of {len(jobs)} places are made and kept"
        raise Cancelled(f"The study was stopped while it simulated; {what}.", GO_ON) from error


def with_seen(places: Sequence[Place], share: float) -> tuple[Place, ...]:
    """The same with `share` of the test places marked as seen, spread evenly over them."""
    tests = [place for place in places if place.role == "test"]
    marked = {id(p) for i, p in enumerate(tests) if int((i + 1) * share + 1e-9) > int(i * share + 1e-9)}
    return tuple(replace(place, seen=id(place) in marked) for place in places)


def training_sources(places: Iterable[Place]) -> tuple[SourceConfig, ...]:
    """The sources of the training places together, as they were before they were taken apart."""
    merged: dict[str, SourceConfig] = {}
    for source in (place.source for place in places if place.role == "train"):
        before = merged.get(source.name, replace(source, images=(), labels=()))
        images, labels = (*before.images, *source.images), (*before.labels, *source.labels)
        merged[source.name] = replace(before, images=images, labels=labels)
    return tuple(merged.values())


def evaluation_sources(places: Iterable[Place], *roles: Role) -> tuple[SourceConfig, ...]:
    """A source for each place of these roles, wholly held out and named after it."""
    return tuple(replace(place.source, name=place.name, hold_out=1.0) for place in places if place.role in roles)


def pretraining_sources(places: Iterable[Place], paths: dict[str, str]) -> tuple[ImageConfig, ...]:
    """The images, without labels, of the training places and of the test places that are marked as seen."""
    merged: dict[str, ImageConfig] = {}
    for source in (place.source for place in places if place.pretrains):
        before = merged.get(source.name, ImageConfig(source.name, (), source.units, source.bands))
        images = tuple(doubled(pattern.format_map(paths)) for pattern in source.images)
        merged[source.name] = replace(before, images=(*before.images, *images))
    return tuple(merged.values())


def count(number: int, thing: str) -> str:
    """`1 place`, `2 places`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def doubled(pattern: str) -> str:
    """A pattern whose braces mean themselves."""
    return pattern.replace("{", "{{").replace("}", "}}")


def _jobs(places: PlacesConfig, out: Path) -> list[tuple[SimulateJob, Role]]:
    numbers: dict[Role, int] = {"train": places.train, "validation": places.validation, "test": places.test}
    roles = [role for role, number in numbers.items() for _ in range(number)]
    folder, found = out / "places", []
    for index, role in enumerate(roles):
        seed = places.seed + index
        found.append((varied(folder / f"{places.size}px-{seed:04d}", places.size, seed, index), role))
    return found
