"""Where things run and lie: environment `TMU_…` over `tmu.toml` over `.tmu/stack.toml` over the defaults.

`tmu.toml` lies in the workspace and is edited and committed. `.tmu/stack.toml` is made by the first `make up`, with
random secrets and the ports that were free, mode 600; it is never committed (docs/running.md).
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tmu.config import Config
from tmu.errors import ConfigError


def _split(value: Any) -> Any:
    return tuple(value.split()) if isinstance(value, str) else value


def _name_and_password(value: SecretStr) -> SecretStr:
    name, _, password = value.get_secret_value().partition(":")
    if not name or len(password) < 16:
        raise ValueError("it must be name:password, the password of 16 characters or more")
    return value


_T = TypeVar("_T")
Several = Annotated[tuple[_T, ...], NoDecode, BeforeValidator(_split)]
"""A list in TOML; in an environment variable, parts with blanks between them."""

Login = Annotated[SecretStr, AfterValidator(_name_and_password)]
"""`name:password`, as for HTTP basic auth."""

STACK = Path(".tmu", "stack.toml")
_ELSEWHERE = {  # read by commands, tests, infra/
    "TMU_HOME",
    "TMU_ONLY_HOME",
    "TMU_DEBUG",
    "TMU_SHARED_DATA",
    "TMU_STACK_PROCESS",
}


class Backup(Config):
    """Copies that are made outside of tmu. days: until the last copy of a day is gone."""

    name: str = Field(min_length=1, description="what is copied, and where to; it names no person")
    days: int = Field(ge=1, description="days until a copy expires")
    restore: str = Field("run `tmu restore` before a restored copy is used", description="what must follow a restore")


class Settings(BaseSettings):
    """One settings model for every way to run: laptop, one machine with servers, cluster."""

    model_config = SettingsConfigDict(env_prefix="TMU_", extra="forbid", frozen=True)

    mlflow_uri: str | None = Field(None, description="MLflow server; default: SQLite and a folder in the workspace")
    mlflow_login: Login | None = Field(None, description="name:password that MLflow's server asks for")
    mlflow_artifacts: str | None = Field(
        None, description="artifact root of new experiments, such as s3://bucket/mlflow"
    )
    mlflow_database: SecretStr | None = Field(
        None, description="SQLAlchemy address of the database of MLflow's server, in which a purge deletes rows"
    )
    mlflow_destination: str | None = Field(
        None, description="s3://bucket/prefix or folder in which MLflow's server keeps artifacts; a purge goes there"
    )
    artifacts: str | None = Field(None, description="folder or s3://bucket/prefix of bundles, twins, audits")
    dvc_remote: str | None = Field(None, description="DVC remote, such as s3://bucket/dvc; default: local cache only")
    dvc_projects: Several[Path] = Field(
        (), description="folders of other projects that share DVC's cache or remote: their revisions are never purged"
    )
    s3_endpoint: str | None = Field(None, description="endpoint of an S3-compatible store")
    s3_access_key: str | None = Field(None, description="key of the S3 store; AWS_* variables win over it")
    s3_secret_key: SecretStr | None = Field(None, description="secret of that key")
    s3_checksums: Literal["when_supported", "when_required"] | None = Field(
        None, description="`when_required` for an S3 store that fails on newer checksums; `tmu doctor` says so"
    )
    s3_read_key: str | None = Field(None, description="an auditor's key: may list and read, not write or delete")
    s3_read_secret: SecretStr | None = Field(None, description="secret of the auditor's key")
    key_file: Path | None = Field(None, description="file with the secrets of the HMAC keys; default: .tmu/hash.key")
    suppression: Path | None = Field(
        None, description="folder of the tombstones, best outside of what a backup restores; default: .tmu/suppression"
    )
    ledger: str | None = Field(
        None,
        repr=False,
        description="SQLAlchemy address of the ledger; default: SQLite file .tmu/ledger.db in the workspace",
    )
    search_ledger: str | None = Field(
        None, repr=False, description="the ledger's address for `tmu verify-erasure`, with a role that may only read"
    )
    postgres_statement: str | None = Field(
        None,
        min_length=20,
        max_length=500,
        description="why nothing of erased people lingers in files of PostgreSQL that the search cannot read; it names "
        "no person, and certificates repeat it",
    )
    search_temporary: Several[Path] = Field(
        (), description="temporary folders for `tmu verify-erasure`; default: TMPDIR, /tmp and /var/tmp"
    )
    ledger_backup_days: int | None = Field(
        None, ge=1, description="days after which backups, replicas and archives of the ledger's database are gone"
    )
    prefect_api_url: str | None = Field(None, description="Prefect server; default: none, commands run without one")
    prefect_login: Login | None = Field(None, description="name:password that Prefect's server asks for")
    api_url: str | None = Field(None, description="where `make up` lets `tmu serve` listen")
    webhooks: Several[str] = Field(
        (), repr=False, description="addresses that receive events of requests: https, or loopback"
    )
    webhook_secret: SecretStr | None = Field(None, min_length=16, description="secret that signs webhook messages")
    webhooks_plain_http: bool = Field(False, description="let webhooks use plain http to other machines, too")
    apprise: Several[SecretStr] = Field((), description="Apprise addresses that receive the same as a sentence")
    heads_s3: str | None = Field(
        None, description="s3://bucket/prefix with Object Lock, where heads of this one ledger's log are noted"
    )
    heads_days: int = Field(1096, ge=1, le=36_500, description="how long each head is locked there")
    heads_lock: Literal["compliance", "governance"] = Field("compliance", description="mode of that lock")
    timestamp_url: str | None = Field(
        None, repr=False, description="RFC 3161 authority that stamps the heads of the log"
    )
    timestamp_ca: Path | None = Field(None, description="PEM file with the root certificates of that authority")
    timestamps: Path | None = Field(None, description="folder of its stamps; default: .tmu/timestamps")
    issuer: str = Field("not named", min_length=1, description="who issues certificates: the controller's name")
    issuer_contact: str = Field("not named", description="where to ask about a certificate: a role's address")
    certificate_signer: str | None = Field(
        None,
        repr=False,
        description="key service that signs certificates (awskms:…); default: a file in .tmu",
    )
    certificate_public_key: Path | None = Field(None, description="PEM file with the public half of that key")
    authority: str = Field(
        "the data protection authority of your country", min_length=1, description="whom a person may complain to"
    )
    evidence: str | None = Field(
        None, description="s3://bucket/prefix of evidence bundles, write-once; default: .tmu/evidence, read-only files"
    )
    evidence_days: int = Field(1096, ge=1, le=36_500, description="how long they are locked there, by Object Lock")
    evidence_lock: Literal["compliance", "governance"] = Field("compliance", description="mode of that lock")
    backups: tuple[Backup, ...] = Field((), description="copies that no purge reaches; certificates name them")
    time_zone: str = Field("UTC", description="where the months of a request's clock are counted: Europe/Berlin")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        1, description="threads of one training; auto: measured at first use (docs/compute.md)"
    )
    stream_above_mib: int = Field(
        1024,
        ge=0,
        description="MiB of decoded pictures; a set that takes more stays in .tmu/decoded while it is learned",
    )
    snapshot_seconds: float = Field(10.0, ge=0, description="least time between two snapshots of a training")
    compute_backend: Literal["local", "torchrun", "ray"] = Field(
        "local", description="where trainings run: docs/compute.md; `ray` needs the extra of that name"
    )
    compute_workers: int | None = Field(None, ge=1, description="most items at once; default: by cores or GPUs")
    compute_address: str | None = Field(
        None,
        pattern=r"^[^\s/]+:\d+$",
        description="host:port of a Ray cluster; default: a cluster of this machine alone",
    )
    compute_token: Path | None = Field(
        None, description="file with the token that the Ray cluster at that address asks for"
    )
    compute_gpus_per_item: float = Field(1.0, gt=0, le=1, description="share of one GPU that an item takes")
    compute_ranks: int = Field(1, ge=1, description="processes of one training, by `torchrun` or `ray`: its world size")

    # read by the servers of `make up` alone
    stack_id: str | None = Field(None, pattern="^[0-9a-f]{32}$", description="names the processes of one stack")
    s3_server: Literal["ceph", "moto"] | None = Field(None, description="the S3 store that `make up` starts")
    ceph_mon_port: int | None = Field(None, ge=1, le=65535, description="port of Ceph's monitor")
    postgres_data: Path | None = Field(None, description="PostgreSQL's data folder")
    postgres_password: SecretStr | None = Field(None, description="of PostgreSQL's superuser")
    prefect_database: SecretStr | None = Field(None, description="SQLAlchemy address of Prefect's database, asyncpg")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the files named by the class at hand, the first over the next (see `load_settings`)."""
        files = settings_cls.model_config.get("toml_file") or ()
        return init_settings, env_settings, *(TomlConfigSettingsSource(settings_cls, file) for file in files)


def load_settings(root: Path) -> Settings:
    """The settings of a workspace. Raises ConfigError naming the bad key."""
    known = {f"TMU_{name.upper()}" for name in Settings.model_fields} | _ELSEWHERE
    for name in sorted(set(filter(lambda name: name.startswith("TMU_"), os.environ)) - known):
        raise ConfigError(f"There is no setting `{name}`.", f"Known: {', '.join(sorted(known))}.")

    class Here(Settings):
        model_config = SettingsConfigDict(toml_file=(root / "tmu.toml", root / STACK))

    try:
        return Here()
    except ValidationError as error:
        where, said = _first_fault(error)
        raise ConfigError(
            f"Setting `{where}`: {said}.", f"Fix it in tmu.toml, {STACK} or in TMU_… variables."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{_not_toml(root)} is not TOML: {error}.", "Fix that line.") from error


def _first_fault(error: ValidationError) -> tuple[str, str]:
    """Where, and what. A number or a word, such as `threads`, gives a fault for each of the two."""
    first, *others = error.errors()
    word = [each["msg"] for each in others if each["loc"][0] == first["loc"][0] and each["type"] == "literal_error"]
    parts = first["loc"][:1] if word else first["loc"]
    return ".".join(str(part) for part in parts), "; or: ".join([first["msg"], *word])


def _not_toml(root: Path) -> Path:
    """Which of the two files cannot be read as TOML."""
    try:
        tomllib.loads((root / "tmu.toml").read_text())
    except FileNotFoundError:
        return root / STACK
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return root / "tmu.toml"
    return root / STACK
