"""Whatever is given as a model file: it is read as one, or refused in one line that says what it is."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sardino_core.contract.errors import ModelInvalid
from sardino_core.contract.header import MAX_HEADER_BYTES, read_header
from sardino_core.models.model_file import load_weights, read_spec
from tests.models.specs import make_spec

SPEC = make_spec().to_json()


def _file(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _tensor(**changes: object) -> dict[str, object]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": 1}))
    return buffer.getvalue()


WHOLE = save({"w": np.ones(1000, np.float32)}, metadata={"sardino": SPEC})
HOSTILE = {
    "empty": (b"", "0 bytes"),
    "seven bytes": (b"1234567", "7 bytes"),
    "header length huge": (struct.pack("<Q", 2**63) + b"{" + b" " * 100, "claims 9223372036854775808 bytes"),
    "header too large": (_file(b"{" + b" " * MAX_HEADER_BYTES + b"}"), "at most"),
    "header length beyond the file": (_file({}, length=500), "claims 500 bytes"),
    "not JSON": (_file(b"{not json at all}"), "header is not JSON"),
    "not UTF-8": (_file(b'{"\xff\xfe": 1}'), "header is not JSON"),
    "deep JSON": (_file(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"), "header is not JSON"),
    "metadata not text": (_file({"__metadata__": {"sardino": 3}}), "metadata are not text"),
    "metadata a list": (_file({"__metadata__": []}), "metadata are not text"),
    "tensor not an object": (_file({"w": 3}), "tensor w is not described"),
    "tensor lacks its shape": (_file({"w": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)), "not described"),
    "unknown type": (_file(_tensor(dtype="I64"), bytes(8)), "type I64; allowed: F16, F32"),
    "type not text": (_file(_tensor(dtype=[1]), bytes(8)), "allowed: F16, F32"),
    "negative offset": (_file(_tensor(data_offsets=[-8, 0]), bytes(8)), "impossible shape or offset"),
    "fractional shape": (_file(_tensor(shape=[2.0]), bytes(8)), "impossible shape or offset"),
    "boolean shape": (_file(_tensor(shape=[True, 2]), bytes(8)), "impossible shape or offset"),
    "shape overflows": (_file(_tensor(shape=[2**40, 2**40]), bytes(8)), "bytes that its shape calls for"),
    "offset beyond the file": (_file(_tensor(shape=[2**30], data_offsets=[0, 2**32]), bytes(8)), "cut short"),
    "gap": (_file(_tensor(data_offsets=[8, 16]), bytes(16)), "overlap or leave gaps"),
    "overlap": (_file({**_tensor(), "v": _tensor()["w"]}, bytes(8)), "overlap or leave gaps"),
    "remainder": (_file(_tensor(), bytes(80)), "72 bytes follow"),
    "truncated in the data": (WHOLE[:-100], "cut short"),
    "truncated in the header": (WHOLE[:200], "claims"),
    "pickle": (pickle.dumps({"w": np.ones(30)}), "is a Python pickle"),
    "torch zip": (_zip(), "is a PyTorch pickle"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "Git LFS pointer"),
    "TIFF": (b"II*\x00" + bytes(100), "TIFF image"),
    "text": (b"these are no weights, just a few words", "not a whole model file"),
}


@pytest.mark.parametrize("content, reason", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "thing.safetensors"
    path.write_bytes(content)
    for read in (read_header, read_spec, load_weights):
        with pytest.raises(ModelInvalid) as caught:
            read(path)
        assert "thing.safetensors" in str(caught.value) and reason in str(caught.value)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "harm",)

    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ModelInvalid, match=r"model\.pth is a Python pickle.*`sardino model import`"):
        read_spec(path)
    assert not (tmp_path / "harm").exists()


def test_every_cut_of_a_whole_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    for length in [*range(0, 64), *range(64, len(WHOLE), 97), len(WHOLE) - 1]:
        path.write_bytes(WHOLE[:length])
        with pytest.raises(ModelInvalid):
            read_header(path)
    path.write_bytes(WHOLE)
    assert read_header(path).tensors["w"].shape == (1000,)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match=r"nowhere\.safetensors cannot be read"):
        read_header(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(
    "text, reason",
    [
        ("{}", "schema None"),
        (SPEC.replace('"schema": 1', '"schema": 99'), "schema 99"),
        ("[" * 100_000, "not valid JSON"),
        (SPEC.replace('"window": 32', '"window": 33'), "window is 33"),
        (SPEC.replace('"window": 32', '"window": "wide"'), "window"),
        (SPEC[:-1] + ', "surprise": 1}', "surprise"),
    ],
)
def test_a_description_that_is_invalid_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(save({"w": np.ones(3, np.float32)}, metadata={"sardino": text}))
    with pytest.raises(ModelInvalid, match=reason):
        read_spec(path)


def test_weights_without_a_description_are_sent_to_the_import(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(save({"w": np.ones(3, np.float32)}))
    with pytest.raises(ModelInvalid, match=r"no description.*`sardino model import`"):
        read_spec(path)
