"""The model file's description: what is accepted, and how a refusal reads."""

import json

import pytest

from sardino_core.contract.errors import ModelInvalid
from sardino_core.contract.model_spec import BackboneSpec, BandSpec, ClassSpec, InputSpec, ModelSpec

SPEC = ModelSpec(
    name="test",
    task="segmentation",
    window=128,
    backbone=BackboneSpec("vit_tiny", 8, 192, 12, 3, 4),
    inputs=InputSpec((BandSpec("VV", -12.59, 5.26), BandSpec("VH", -20.26, 5.91, "summer"))),
    head="decoder",
    classes=(ClassSpec(80, "water", "#0064c8"), ClassSpec(10, "trees", "#006400")),
)


def changed(**entries):
    body = json.loads(SPEC.to_json())
    for path, value in entries.items():
        *parents, last = path.split("__")
        target = body
        for parent in parents:
            target = target[int(parent) if parent.isdigit() else parent]
        target[last] = value
    return json.dumps(body)


def test_round_trip():
    assert ModelSpec.parse(SPEC.to_json()) == SPEC
    assert SPEC.tokens_per_side == 16
    assert [band.key for band in SPEC.inputs.bands] == ["VV", "VH@summer"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not valid JSON"),
        ("[]", "schema None"),
        (changed(schema=99), "schema 99; this version reads schema 1"),
        (changed(task="magic"), "task"),
        (changed(window=130), "window is 130; allowed: a multiple of the patch, 8"),
        (changed(window=65536), "window"),
        (changed(backbone__patch=0), "backbone.patch is 0"),
        (changed(backbone__depth=10**9), "backbone.depth"),
        (changed(backbone__width=10**9), "backbone.width"),
        (changed(backbone__heads=5), "multiple of the heads"),
        (changed(inputs__bands=[]), "inputs.bands"),
        (changed(inputs__bands__0__std_db=0), "std_db"),
        (changed(inputs__bands__0__name="B4"), "inputs.bands.name is B4"),
        (changed(inputs__spacing_m=[40, 8]), "spacing_m"),
        (changed(inputs__units="power"), "inputs.units"),
        (changed(classes__0__value=254), "0 is nodata, 254 unsure"),
        (changed(classes__0__value=10), "unique values"),
        (changed(classes__0__colour="blue"), "#rrggbb"),
        (changed(classes=[]), "two or more"),
        (changed(classes__0__name="a\x1b[31m"), "printable"),
        (changed(classes__0__name=""), "printable"),
        (changed(classes__0__name="unsure"), "not `unsure`"),
        (changed(classes__0__name="trees"), "unique names"),
        (changed(inputs__bands__0__std_db=1e-300), "0.001 to 1000"),
        (changed(calibration__temperature=1e-300), "0.001 to 1000"),
        (changed(head="none"), "linear or decoder"),
        (changed(calibration__temperature=0), "temperature"),
        (changed(surprise=1), "unknown key 'surprise'"),
    ],
)
def test_invalid_descriptions_name_the_key(text, message):
    with pytest.raises(ModelInvalid) as caught:
        ModelSpec.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_deep_nesting_is_refused_not_followed():
    with pytest.raises(ModelInvalid):
        ModelSpec.parse("[" * 100_000 + "]" * 100_000)
