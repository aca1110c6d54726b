"""CIFAR's published batches are pickles, and a pickle is a program. This reads them with a machine that cannot run one.

Only three names can be built: an empty numpy array, the array type and the dtype. Everything else that a pickle asks
for, whatever it is called, is refused. Numbers, strings, lists and dictionaries need no name.
"""

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tmu.errors import DataError

_RECONSTRUCT = np.ndarray(0).__reduce__()[0]
_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError("not an array") from None

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("not an array")


def read_batch(path: Path) -> dict[str, Any]:
    """A batch file's dictionary; `DataError` if it holds anything but numbers, text and numpy arrays of numbers."""
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing.", "Download the dataset again (`download: true`).") from error
    except Exception as error:  # a hostile stream can make the machine fail in any way; none of them is a crash of ours
        raise _refused(path) from error
    arrays = [value for value in content.values() if isinstance(value, np.ndarray)] if isinstance(content, dict) else []
    if not isinstance(content, dict) or any(array.dtype.hasobject for array in arrays):
        raise _refused(path)
    return content


def _refused(path: Path) -> DataError:
    return DataError(
        f"{path} holds more than numbers and text, so it was not opened.",
        "Download the dataset again from its publisher.",
    )
