"""One land-cover map per scene, for archives: named after the scene, done ones skipped, failures told at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from sardino_core.contract.errors import Cancelled, OutputUnwritable, SardinoError, ScenesFailed, SettingInvalid
from sardino_core.contract.jobs import SegmentJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.inference import identity, segment
from sardino_core.models.model_file import resolve_model, weights_hash

SUFFIX = "_landcover.tif"


def segment_each(job: SegmentJob, listener: Listener) -> Result:
    """Run `job`, whose output is a folder, on each of its inputs by itself.

    A scene that fails does not stop the others. Raises ScenesFailed at the end if any did.
    """
    if job.confidence or job.probabilities:
        raise SettingInvalid("--each writes maps alone.", "Leave out --confidence and --probabilities.")
    folder, model = Path(job.output), weights_hash(resolve_model(job.run.model))
    if not folder.is_dir():
        raise OutputUnwritable(f"The output folder {folder} does not exist.", "With --each, --output is a folder.")
    outputs = {scene: folder / name for scene, name in output_names(job.scene.inputs).items()}
    failed: list[str] = []
    for scene, output in outputs.items():
        single = replace(job, scene=replace(job.scene, inputs=(scene,)), output=str(output))
        try:
            if _is_done(single, model):
                listener.log("info", f"{scene}: {output.name} is there already, skipped")
                continue
            listener.log("info", f"{scene}:")
            segment(single, listener)
        except Cancelled:
            raise
        except SardinoError as error:
            failed.append(scene)
            listener.log("warning", f"{scene}: {error}")
    if failed:
        raise ScenesFailed(
            f"{len(failed)} of {len(outputs)} scenes gave no map: {', '.join(failed[:5])}"
            f"{', ...' if len(failed) > 5 else ''}.",
            "The warnings above say why; a rerun skips what is done.",
        )
    return Result({scene: str(output) for scene, output in outputs.items()}, {"scenes": len(outputs)})


def _is_done(job: SegmentJob, model_sha256: str) -> bool:
    """Whether the map is there, of this scene, by this model and these settings; of other settings it is made anew."""
    output = Path(job.output)
    if not output.exists():
        return False
    try:
        with rasterio.open(output) as dataset:
            found = dataset.tags()
    except RasterioError:
        found = {}
    wanted = identity(job, model_sha256)
    if found.get("SARDINO_SOURCE_ID") != wanted["SARDINO_SOURCE_ID"]:
        raise OutputUnwritable(
            f"{output.name} is there already and is not a map of this scene.", "Choose another output folder."
        )
    return bool(found.get("SARDINO_RUN_ID") == wanted["SARDINO_RUN_ID"])


def output_names(scenes: Sequence[str]) -> dict[str, str]:
    """File names by scene; scenes of one name in different folders get their folder's name before it."""
    paths = {scene: Path(scene).resolve() for scene in scenes}
    stems = {scene: path.name if path.is_dir() else path.stem for scene, path in paths.items()}
    often = {stem for stem, count in Counter(stems.values()).items() if count > 1}
    prefixes = {scene: f"{paths[scene].parent.name}_" if stems[scene] in often else "" for scene in paths}
    names = {scene: f"{prefixes[scene]}{stems[scene]}{SUFFIX}" for scene in paths}
    for name, count in Counter(names.values()).items():
        if count > 1:
            raise SettingInvalid(f"{count} scenes would write {name}.", "Run them into different folders.")
    return names
