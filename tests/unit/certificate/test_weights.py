"""The signature of a model's folder: it fits that model and no other."""

from pathlib import Path

import pytest
from tmu_verify.faults import Fault

from tmu.certificate.verified import CertificateError
from tmu.certificate.weights import PUBLIC, SIGNATURE, check_weights, sign_weights


def test_a_model_is_signed_once_and_a_swapped_one_is_caught(tmp_path: Path) -> None:
    model, folder = tmp_path / "model", tmp_path / "evidence"
    model.mkdir()
    for name in ("weights.safetensors", "arch.json", "manifest.json", "run.json"):
        (model / name).write_text(name)
    sign_weights(model, folder, tmp_path / "scratch")
    assert sorted(path.name for path in folder.iterdir()) == [PUBLIC, SIGNATURE]
    assert b"PRIVATE" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    first = check_weights(model, folder)
    sign_weights(model, folder, tmp_path / "scratch")
    (model / "run.json").write_text("another run of the same")
    assert check_weights(model, folder) == first
    (model / "weights.safetensors").write_text("another model")
    with pytest.raises(CertificateError, match="model_swapped") as refused:
        check_weights(model, folder)
    assert (refused.value.fault, refused.value.exit_code) == (Fault.MODEL_SWAPPED, 16)
    (model / "weights.safetensors").unlink()
    with pytest.raises(CertificateError, match="model_swapped"):
        check_weights(model, folder)
