"""What else a model tells of a scene: `explore`, `classify`, `cluster`, `similarity`."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from sardino_core.commands.command import class_lines, of_job, output_lines
from sardino_core.commands.options import number_or_auto, raster_options, run_of, scene_of
from sardino_core.contract.jobs import (
    CONTEXT_OVERLAP,
    FEATURE_SETS,
    METHODS,
    MOST_CLUSTERS,
    SEGMENT_OVERLAP,
    ClassifyJob,
    ClusterJob,
    ExploreJob,
    SimilarityJob,
)
from sardino_core.contract.messages import Result


def _add_explore(parser: ArgumentParser) -> None:
    raster_options(parser, SEGMENT_OVERLAP)
    parser.add_argument("--at", type=_place, required=True, metavar="X,Y", help="the place, in the raster's CRS")
    parser.add_argument("--mode", choices=["attention", "class", "similarity"], default="attention",
                        help="attention of the place, or of the class token, within the window around it; similarity "
                        "of its token to all others; default: attention")  # fmt: skip
    parser.add_argument("--layer", type=int, default=-1, help="layer from 0, or from the last: -1 (default)")
    parser.add_argument(
        "--head", default="mean", metavar="N", help="mean or max over the heads, or one of them, from 1; default: mean"
    )


def _explore_job(arguments: Namespace) -> ExploreJob:
    return ExploreJob(
        scene_of(arguments),
        run_of(arguments),
        arguments.output,
        arguments.at,
        arguments.mode,
        arguments.layer,
        arguments.head,
    )


def _explore_lines(result: Result) -> list[str]:
    return [*output_lines(result), f"  {result.values['told']}"]


def _add_classify(parser: ArgumentParser) -> None:
    raster_options(parser, CONTEXT_OVERLAP)
    parser.add_argument("--training", metavar="POLYGONS", help="labelled polygons or points")
    parser.add_argument("--field", default="class", help="of them, with the class's value or name; default: class")
    parser.add_argument("--features", type=_features, default=(), metavar="F,F", help="any of bands, filtered (local "
                        "means of 3, 7 and 15 pixels), attention (last layer), tokens (16 principal components); "
                        "without the last two the network is not run; default: all")  # fmt: skip
    parser.add_argument("--method", choices=METHODS, help="default: forest")
    parser.add_argument("--confidence", metavar="TIF", help="also write the highest probability, 0 to 1")
    parser.add_argument("--report", metavar="HTML", help="also write what cross-validation over the areas says")
    parser.add_argument("--save-classifier", metavar="SKOPS", help="also keep the classifier, for other scenes")
    parser.add_argument("--classifier", metavar="SKOPS", help="apply a kept one; instead of --training")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the pixels drawn; default: 0")


def _classify_job(arguments: Namespace) -> ClassifyJob:
    return ClassifyJob(
        scene_of(arguments),
        run_of(arguments),
        arguments.output,
        training=arguments.training,
        field_name=arguments.field,
        features=arguments.features,
        method=arguments.method,
        classifier=arguments.classifier,
        save_classifier=arguments.save_classifier,
        confidence=arguments.confidence,
        report=arguments.report,
        seed=arguments.seed,
    )


def _classify_lines(result: Result) -> list[str]:
    return [*class_lines(result), *result.values["summary"]]


def _add_cluster(parser: ArgumentParser) -> None:
    raster_options(parser, SEGMENT_OVERLAP)
    parser.add_argument("--clusters", type=number_or_auto, default=0, metavar="K", help=f"2 to {MOST_CLUSTERS}; "
                        "default: auto, the most that two halves of the sample agree on")  # fmt: skip
    parser.add_argument("--codebook", metavar="JSON", help="clusters of an earlier run: the same classes again")
    parser.add_argument("--save-codebook", metavar="JSON", help="also write the clusters, for other scenes")
    parser.add_argument("--refine", action="store_true", help="borders between the patches' centres, on the raster's "
                        "pixels; otherwise one pixel per patch")  # fmt: skip


def _cluster_job(arguments: Namespace) -> ClusterJob:
    return ClusterJob(
        scene_of(arguments),
        run_of(arguments),
        arguments.output,
        arguments.clusters,
        arguments.codebook,
        arguments.save_codebook,
        arguments.refine,
    )


def _add_similarity(parser: ArgumentParser) -> None:
    raster_options(parser, CONTEXT_OVERLAP)
    parser.add_argument("--references", required=True, metavar="MARKS", help="points or polygons, in any CRS")
    parser.add_argument("--reference-scene", nargs="+", default=(), metavar="INPUT", help="the scene that they lie in, "
                        "read with the same --bands and --units; default: the scene itself")  # fmt: skip
    parser.add_argument("--name-field", metavar="NAME", help="one band for each of its values; default: one for all")


def _similarity_job(arguments: Namespace) -> SimilarityJob:
    return SimilarityJob(
        scene_of(arguments),
        run_of(arguments),
        arguments.output,
        arguments.references,
        tuple(arguments.reference_scene),
        arguments.name_field,
    )


def _similarity_lines(result: Result) -> list[str]:
    return [*output_lines(result), "  " + ", ".join(result.values["references"])]


def _place(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not x,y") from None
    return x, y


def _features(text: str) -> tuple[str, ...]:
    names = tuple(part.strip().lower() for part in text.split(","))
    unknown = [name for name in names if name not in FEATURE_SETS]
    if unknown:
        raise ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(FEATURE_SETS)}")
    return names


COMMANDS = {
    "explore": of_job(
        "what one place attends to in its window, or resembles in the scene", _add_explore, _explore_job, _explore_lines
    ),
    "classify": of_job(
        "land-cover map from a few labelled polygons or points of your own",
        _add_classify,
        _classify_job,
        _classify_lines,
    ),
    "cluster": of_job(
        "classes without labels: clusters of tokens, from dark to bright", _add_cluster, _cluster_job, class_lines
    ),
    "similarity": of_job(
        "how alike every patch is to places that you mark", _add_similarity, _similarity_job, _similarity_lines
    ),
}
