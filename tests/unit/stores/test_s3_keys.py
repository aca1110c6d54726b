"""The S3 key pair: from the settings, where Amazon's own variables name none."""

import json
import os
from pathlib import Path

import pytest

from tmu.errors import ConfigError
from tmu.settings import Settings
from tmu.stores.dvc import DvcVersions
from tmu.stores.open_artifacts import open_artifacts
from tmu.stores.s3_access import S3Access
from tmu.stores.s3_keys import s3_keys

PAIR = Settings(s3_access_key="OURS", s3_secret_key="our-secret")


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 keeps the credentials that it found first for the whole process."""
    import boto3

    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture(autouse=True)
def no_amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def _signer(keys: object, tmp_path: Path) -> str:
    store = open_artifacts("s3://bucket/prefix", tmp_path, S3Access("http://127.0.0.1:9", keys))
    return store._client._request_signer._credentials.access_key


def test_the_artifact_store_signs_with_the_pair_of_the_settings(tmp_path: Path):
    assert _signer(s3_keys(PAIR), tmp_path) == "OURS"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"])
def test_amazons_variables_win(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(name, "theirs")
    assert s3_keys(PAIR) is None


def test_the_artifact_store_signs_with_amazons_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "THEIRS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert _signer(s3_keys(PAIR), tmp_path) == "THEIRS"


def test_half_a_pair_is_refused():
    with pytest.raises(ConfigError, match="one half"):
        s3_keys(Settings(s3_access_key="OURS"))


def test_no_pair_is_none():
    assert s3_keys(Settings()) is None


def test_no_print_shows_the_secret():
    assert "our-secret" not in repr(s3_keys(PAIR))


def test_dvc_gets_the_pair_in_its_environment_and_not_as_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """DVC is replaced by a program that notes what it was given."""
    fake = tmp_path / "fake" / "dvc"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("")
    seen = tmp_path / "seen.json"
    (fake / "__main__.py").write_text(
        f"import json, os, sys\njson.dump([sys.argv, dict(os.environ)], open({str(seen)!r}, 'w'))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(fake.parent))
    (tmp_path / "root" / ".dvc").mkdir(parents=True)
    DvcVersions(tmp_path / "root", "s3://b/p", S3Access("http://127.0.0.1:9", s3_keys(PAIR), "when_required")).push()
    arguments, environment = json.loads(seen.read_text())
    assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) == ("OURS", "our-secret")
    assert environment["AWS_REQUEST_CHECKSUM_CALCULATION"] == "when_required"
    assert "our-secret" not in " ".join(arguments)
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
