"""State dicts become safetensors in a locked-down process; what is anything else is refused and leaves nothing."""

import json
import os
import pickle
import resource
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.cli_tools import tmu
from tmu.errors import ConfigError, ModelError
from tmu.files import sha256_file
from tmu.models import state_dict
from tmu.steps.convert_weights import convert_weights, read_apart


class Planted:
    """Runs a command when it is unpickled without restrictions."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def saved(path: Path, value: object, **how) -> Path:
    torch.save(value, path, **how)
    return path


def test_a_checkpoint_becomes_tensors_with_memory_of_their_own(tmp_path):
    weight = torch.arange(6.0).reshape(2, 3)
    model = {"head.weight": weight, "tied": weight, "body": {"bias": weight.t()}, "counter": torch.tensor(3)}
    source = saved(tmp_path / "in.pth", {"epoch": 3, "state_dict": model, "optimizer": {"lr": 0.1}})
    target = tmp_path / "weights" / "out.safetensors"  # in a folder that is not there yet
    result = tmu(tmp_path, "model", "convert", str(source), str(target), "--json")
    assert result.exit_code == 0, result.output
    told, found = json.loads(result.stdout), load_file(target)
    assert (told["tensors"], told["left_out"]) == (4, ["epoch", "optimizer"])
    assert told["sha256"] == sha256_file(target)
    assert "only files that you trust" in result.stderr
    assert found.keys() == {"head.weight", "tied", "body.bias", "counter"}
    assert torch.equal(found["tied"], weight) and torch.equal(found["body.bias"], weight.t())
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_planted_command_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    source = saved(tmp_path / "in.pth", {"state_dict": {"weight": torch.zeros(2)}, "more": Planted(marker)})
    with pytest.raises(ModelError, match="of tensors alone"):
        convert_weights(source, tmp_path / "out.safetensors")
    assert not marker.exists() and not (tmp_path / "out.safetensors").exists()
    torch.load(source, weights_only=False)  # the file would have done it
    assert marker.exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"weight": torch.zeros(2), "names": ["a"]}, "`names` holds a list"),
        ({"weight": {"scale": 2.0}}, "`weight.scale` holds a float"),
        (torch.zeros(3), "The file holds a Tensor"),
        ({}, "no tensors"),
        ({"a": {"b": torch.zeros(2)}, "a.b": torch.ones(2)}, "Two tensors are called `a.b`"),
        ({3: torch.zeros(2)}, "A tensor's name is a int"),
        ({"weight": torch.zeros(2, 2).to_sparse()}, "`weight` is no plain dense tensor"),
        ({"weight": torch.zeros(2, dtype=torch.complex64)}, "`weight` is no plain dense tensor"),
        (nn.Linear(2, 2), "of tensors alone"),
    ],
)
def test_anything_but_tensors_by_name_is_refused(tmp_path, value, said):
    with pytest.raises(ModelError, match=said):
        state_dict.read(saved(tmp_path / "in.pth", value))


def test_the_oldest_formats_and_other_files_are_refused(tmp_path):
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        archive.add(__file__, "storages")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"weight": [1.0]}))
    (tmp_path / "text.pth").write_text("weights")
    for name, said in (
        ("old", "oldest format"),
        ("plain", "`weight` holds a list|of tensors alone"),
        ("text", "alone"),
    ):
        with pytest.raises(ModelError, match=said):
            state_dict.read(tmp_path / f"{name}.pth")
    before = saved(tmp_path / "in.pth", {"weight": torch.ones(2)}, _use_new_zipfile_serialization=False)
    assert state_dict.read(before)[0]["weight"].tolist() == [1.0, 1.0]


def test_the_reader_has_limits_and_its_end_is_told(tmp_path):
    """`limit` is called in a child: a limit cannot be raised again."""
    source = saved(tmp_path / "in.pth", {"weight": torch.ones(2)})
    code = (
        "import sys, resource; from pathlib import Path; from tmu.models import state_dict\n"
        "state_dict.limit(Path(sys.argv[1])); print(resource.getrlimit(resource.RLIMIT_DATA)[0])\n"
        "try: bytearray(16 * 2**30)\nexcept MemoryError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(source)], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["refused"] and int(done.stdout.split()[0]) < 4 * 2**30
    assert resource.getrlimit(resource.RLIMIT_CORE)  # this process is not limited
    with pytest.raises(ModelError, match="did not end well"):
        read_apart(tmp_path / "gone.pth", tmp_path / "made")


def test_nothing_is_overwritten_and_names_are_checked(tmp_path):
    source = saved(tmp_path / "in.pth", {"weight": torch.ones(2)})
    (tmp_path / "there.safetensors").write_text("mine")
    for given, target, said in (
        (source, "there.safetensors", "is there already"),
        (source, "out.pth", "does not end in .safetensors"),
        (tmp_path / "gone.pth", "out.safetensors", "There is no file"),
    ):
        with pytest.raises(ConfigError, match=said):
            convert_weights(given, tmp_path / target)
    assert (tmp_path / "there.safetensors").read_text() == "mine"
