"""DINO against training from scratch, few labels and many: one resumable study, its tables and plots.

    python scripts/study.py --config study --out build/study
    python scripts/study.py --config study-tiny --out build/study-tiny real=FOLDER

Simulates places (or takes --images and --labels), pre-trains once, tunes and trains every arm at every share of the
labels, and writes study.md, CSVs and PNGs into the folder. The same command goes on after Ctrl-C, and tries again what
failed; --dry-run lists the cells and says how long they take.
"""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sardino_core.contract.errors import SardinoError
from sardino_core.study.config import StudyConfig, load_study_config
from sardino_core.terminal import PlainVoice


class StoppableVoice(PlainVoice):
    """Speaks to people; Ctrl-C and SIGTERM ask the study to stop."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped = False
        for wish in (signal.SIGINT, signal.SIGTERM):
            signal.signal(wish, self._stop)

    def cancelled(self) -> bool:
        """Whether a signal has come."""
        return self._stopped

    def _stop(self, *_: object) -> None:
        self._stopped = True


def main() -> int:
    """Exit status 0, 1 with one line on stderr, or 2 for usage."""
    arguments, voice = _parse(), StoppableVoice()
    try:
        config = _configured(arguments)  # before torch is imported: a wrong key is told at once
        from sardino_core.study.study import plan_study, report_study, run_study

        if arguments.dry_run:
            print("\n".join(plan_study(config, arguments.out, voice)))
            return 0
        result = report_study(arguments.out) if arguments.report else run_study(config, arguments.out, voice)
        voice.result(result, [result.outputs["study.md"]])
    except SardinoError as error:
        voice.failure(error)
        return 1
    return 0


def _configured(arguments: Namespace) -> StudyConfig:
    from sardino_core.training.settings.finetune_config import with_rasters

    config = load_study_config(arguments.config, arguments.overrides)
    if not arguments.images and not arguments.labels:
        return config
    return replace(config, finetune=with_rasters(config.finetune, arguments.images, arguments.labels))


def _parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="study", help="a name under sardino_core/configs, or a YAML file")
    parser.add_argument("--out", required=True, type=Path, help="folder for places, cells and report")
    parser.add_argument("--images", nargs="+", default=[], metavar="GLOB", help="rasters instead of simulated places")
    parser.add_argument("--labels", nargs="+", default=[], metavar="GLOB", help="their labels, on any grid")
    parser.add_argument("--dry-run", action="store_true", help="list the cells, say how long they take, and stop")
    parser.add_argument("--report", action="store_true", help="write the report again from the cells in the folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the configuration, such as seeds=[0,1]")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
