"""Numbers: npy and safetensors, as the pictures that they may be."""

import io
import json
from collections.abc import Iterator

import numpy as np

from tmu.search import pictures
from tmu.search.containers.part import Around, Part

_DTYPES: dict[str, np.dtype] = {
    "U8": np.dtype("u1"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
}


def npy_parts(data: bytes, around: Around) -> Iterator[Part]:
    """The array, if it can be pictures."""
    array = np.load(io.BytesIO(data), allow_pickle=False)
    yield from _images_of("array", array)


def safetensors_parts(data: bytes, around: Around) -> Iterator[Part]:
    """The tensors that can be pictures."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for name, each in header.items():
        if name == "__metadata__" or each["dtype"] not in _DTYPES:
            continue
        start, end = each["data_offsets"]
        if start == end:
            continue
        array = np.frombuffer(data[8 + size + start : 8 + size + end], _DTYPES[each["dtype"]]).reshape(each["shape"])
        yield from _images_of(f"tensor {name}", array)


def _images_of(inside: str, array: np.ndarray) -> Iterator[Part]:
    """An array of three or four dimensions as pictures, whichever side its channels are on; whole, or row by row."""
    if array.dtype.kind not in "uf" or array.ndim not in (2, 3, 4) or not array.size:
        return
    if array.ndim == 2:
        array = array[None]
    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 1, -1)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 0, -1)[None]
    elif array.ndim == 3 and array.shape[-1] in (1, 3):
        array = array[None]
    if min(array.shape[1:3]) < pictures.SMALLEST or max(array.shape[1:3]) > 8192:
        return
    if array.ndim == 4 and array.shape[-1] not in (1, 3):
        array = array.reshape(-1, *array.shape[2:])
        if min(array.shape[1:3]) < pictures.SMALLEST:
            return
    yield Part(inside=inside, images=array if array.dtype == np.uint8 else _shades(array))


def _shades(array: np.ndarray) -> np.ndarray:
    """Numbers of any scale as uint8: 0..1 and 0..255 as they are meant, others by their smallest and largest."""
    values = np.nan_to_num(array.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        values = values * 255
    elif low < 0 or high > 255:
        values = (values - low) * (255 / max(high - low, 1e-9))
    return np.round(values).astype(np.uint8)
