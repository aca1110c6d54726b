"""Registered versions as learners: one that was purged is told as destroyed."""

from pathlib import Path
from types import SimpleNamespace

from tmu.data.info import STORE_FILE, SplitRule, StoreInfo, write_info
from tmu.lineage.served import registered
from tmu.stores.mlflow_versions import Version


def test_a_version_that_was_purged_holds_nothing_any_more(tmp_path: Path) -> None:
    info = StoreInfo(
        reader="image-folder", dataset="faces", shape=(1, 4, 4), classes=("a",), n_buckets=1, key_id="k",
        simulated=True, split_rule=SplitRule(),
    )  # fmt: skip
    write_info(tmp_path, info)
    assert (tmp_path / STORE_FILE).is_file()
    found = [
        Version("tmu-faces", number, "run", "model", "original", str(number), {"data_revision": "A", **tags})
        for number, tags in ((1, {"serving": "purged"}), (2, {"serving": "blocked"}), (3, {}))
    ]
    registry = SimpleNamespace(embedded=False, versions=lambda dataset: found if dataset == "faces" else [])
    workspace = SimpleNamespace(registry=registry, data=tmp_path)
    assert [each.purged for each in registered(workspace)] == [True, False, False]
