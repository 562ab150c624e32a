"""One scene as the model sees it: `segment`, `attention`, `embed`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sardino_core.commands.command import Command, class_lines, do, of_job, output_lines
from sardino_core.commands.options import raster_options, run_of, scene_of
from sardino_core.contract.jobs import CONTEXT_OVERLAP, SEGMENT_OVERLAP, AttentionJob, EmbedJob, SegmentJob
from sardino_core.terminal import Voice


def _add_segment(parser: ArgumentParser) -> None:
    raster_options(parser, SEGMENT_OVERLAP)
    parser.add_argument(
        "--each", action="store_true", help="one map per INPUT; --output is a folder; a rerun skips the done"
    )
    parser.add_argument("--confidence", metavar="TIF", help="also write the highest probability, 0 to 1")
    parser.add_argument("--probabilities", metavar="TIF", help="also write the probability of every class")
    parser.add_argument("--no-abstain", action="store_true", help="always name a class, never `unsure` (254)")


def _segment(arguments: Namespace, voice: Voice) -> None:
    job = SegmentJob(
        scene_of(arguments),
        run_of(arguments),
        arguments.output,
        confidence=arguments.confidence,
        probabilities=arguments.probabilities,
        abstain=not arguments.no_abstain,
    )
    if arguments.each:
        from sardino_core.batch import segment_each

        result = segment_each(job, voice)
        voice.result(result, output_lines(result))
    else:
        do(job, voice, class_lines)


def _add_attention(parser: ArgumentParser) -> None:
    raster_options(parser, CONTEXT_OVERLAP)
    parser.add_argument("--layer", type=int, default=-1, help="layer from 0, or from the last: -1 (default)")
    parser.add_argument("--heads", choices=["all", "mean", "max"], default="all", help="default: all")
    parser.add_argument("--resolution", choices=["patch", "pixel"], default="pixel", help="default: pixel")


def _attention_job(arguments: Namespace) -> AttentionJob:
    return AttentionJob(
        scene_of(arguments), run_of(arguments), arguments.output, arguments.layer, arguments.heads, arguments.resolution
    )


def _add_embed(parser: ArgumentParser) -> None:
    raster_options(parser, CONTEXT_OVERLAP)
    parser.add_argument("--components", type=int, default=0, metavar="N", help="principal components; default: no PCA")
    parser.add_argument("--dtype", choices=["float16", "float32", "int8"], default="float16", help="default: float16")


def _embed_job(arguments: Namespace) -> EmbedJob:
    return EmbedJob(scene_of(arguments), run_of(arguments), arguments.output, arguments.components, arguments.dtype)


COMMANDS = {
    "segment": Command("land-cover map, with confidence and probabilities on request", _add_segment, _segment),
    "attention": of_job(
        "attention of the class token, one band per head", _add_attention, _attention_job, output_lines
    ),
    "embed": of_job("patch token embeddings, or their principal components", _add_embed, _embed_job, output_lines),
}
