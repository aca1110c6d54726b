"""Where things run and lie: environment variables `TMU_…` over `tmu.toml` in the workspace over the defaults."""

import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from tmu.errors import ConfigError

_ELSEWHERE = {"TMU_HOME", "TMU_DEBUG", "TMU_SHARED_DATA"}  # read by the command line and the tests


class Settings(BaseSettings):
    """One settings model for every way to run: laptop, one machine with servers, cluster."""

    model_config = SettingsConfigDict(env_prefix="TMU_", extra="forbid", frozen=True)

    mlflow_uri: str | None = Field(None, description="MLflow server; default: SQLite and a folder in the workspace")
    mlflow_artifacts: str | None = Field(
        None, description="artifact root of new experiments, such as s3://bucket/mlflow"
    )
    artifacts: str | None = Field(None, description="folder or s3://bucket/prefix of bundles, twins, audits")
    dvc_remote: str | None = Field(None, description="DVC remote, such as s3://bucket/dvc; default: local cache only")
    s3_endpoint: str | None = Field(None, description="endpoint of an S3-compatible store")
    key_file: Path | None = Field(None, description="file with the secret of the HMAC keys; default: .tmu/hash.key")
    ledger: str | None = Field(
        None, description="SQLAlchemy address of the ledger; default: SQLite file .tmu/ledger.db in the workspace"
    )
    time_zone: str = Field("UTC", description="where the months of a request's clock are counted: Europe/Berlin")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(1, ge=1, description="threads of one training; two processes beat two threads on two cores")
    snapshot_seconds: float = Field(10.0, ge=0, description="least time between two snapshots of a training")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the file named by the class at hand (see `load_settings`)."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(root: Path) -> Settings:
    """The settings of a workspace. Raises ConfigError naming the bad key."""

    known = {f"TMU_{name.upper()}" for name in Settings.model_fields} | _ELSEWHERE
    for name in sorted(set(filter(lambda name: name.startswith("TMU_"), os.environ)) - known):
        raise ConfigError(f"There is no setting `{name}`.", f"Known: {', '.join(sorted(known))}.")

    class Here(Settings):
        model_config = SettingsConfigDict(toml_file=root / "tmu.toml")

    try:
        return Here()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"Setting `{where}`: {first['msg']}.", "Mend it in tmu.toml or in TMU_… variables."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{root / 'tmu.toml'} is not TOML: {error}.", "Mend that line.") from error
