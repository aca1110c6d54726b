"""Settings: which source wins, what is refused, and that secrets do not show."""

from pathlib import Path

import pytest

from tmu.errors import ConfigError
from tmu.settings import STACK, load_settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".tmu").mkdir()
    return tmp_path


def _write(home: Path, *, tmu: str = "", stack: str = "") -> None:
    (home / "tmu.toml").write_text(tmu)
    (home / STACK).write_text(stack)


def test_the_environment_wins_over_tmu_toml_and_that_over_stack_toml(home: Path, monkeypatch: pytest.MonkeyPatch):
    _write(home, tmu='mlflow_uri = "http://b"\nartifacts = "b"', stack='mlflow_uri="c"\nartifacts="c"\ndvc_remote="c"')
    monkeypatch.setenv("TMU_MLFLOW_URI", "http://a")
    settings = load_settings(home)
    assert (settings.mlflow_uri, settings.artifacts, settings.dvc_remote) == ("http://a", "b", "c")


def test_without_files_the_defaults_hold(tmp_path: Path):
    assert load_settings(tmp_path).prefect_api_url is None


@pytest.mark.parametrize("name", ["TMU_S3_SECRET", "TMU_PREFECT_URL", "TMU_STACK"])
def test_an_unknown_variable_is_refused_and_the_known_ones_are_named(home: Path, monkeypatch, name: str):
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigError, match=f"no setting `{name}`") as refused:
        load_settings(home)
    assert "TMU_S3_SECRET_KEY" in refused.value.hint
    assert "TMU_PREFECT_API_URL" in refused.value.hint


def test_the_mark_of_a_stacks_processes_is_no_setting(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMU_STACK_PROCESS", "0:worker")
    load_settings(home)


@pytest.mark.parametrize("name", ["tmu", "stack"])
def test_the_file_that_is_not_toml_is_named(home: Path, name: str):
    _write(home, **{name: "threads = "})
    with pytest.raises(ConfigError, match=f"{name}.toml is not TOML"):
        load_settings(home)


def test_an_unknown_key_of_either_file_is_refused(home: Path):
    _write(home, stack='s3_secret = "x"')
    with pytest.raises(ConfigError, match="s3_secret"):
        load_settings(home)


def test_no_secret_shows_in_a_print(home: Path):
    secret = "5ecre7"
    _write(
        home,
        stack=f's3_secret_key = "{secret}"\ns3_read_secret = "{secret}"\npostgres_password = "{secret}"\n'
        f'ledger = "postgresql+psycopg://tmu:{secret}@127.0.0.1/tmu"\nprefect_database = "x://{secret}@y"\n'
        f'mlflow_database = "x://{secret}@y"\n',
    )
    settings = load_settings(home)
    assert secret in str(settings.ledger)
    assert secret not in repr(settings) + str(settings)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("backend", "slurm", "'local', 'torchrun' or 'ray'"),
        ("address", "ray://10.0.0.5:6379", "String should match pattern"),
        ("address", "10.0.0.5", "String should match pattern"),
        ("gpus_per_item", "2", "less than or equal to 1"),
        ("workers", "0", "greater than or equal to 1"),
        ("ranks", "0", "greater than or equal to 1"),
    ],
)
def test_a_bad_compute_setting_is_named(home: Path, monkeypatch, name: str, value: str, said: str):
    monkeypatch.setenv(f"TMU_COMPUTE_{name.upper()}", value)
    with pytest.raises(ConfigError) as refused:
        load_settings(home)
    assert f"compute_{name}" in refused.value.what
    assert said in refused.value.what


@pytest.mark.parametrize(("value", "said"), [("fast", "valid integer"), ("0", "greater than or equal to 1")])
def test_what_threads_may_be_is_said_in_full(home: Path, monkeypatch, value: str, said: str):
    monkeypatch.setenv("TMU_THREADS", value)
    with pytest.raises(ConfigError) as refused:
        load_settings(home)
    assert refused.value.what.startswith("Setting `threads`: ")
    assert said in refused.value.what and "'auto'" in refused.value.what
