"""The settings file of the first start: private, random, kept."""

import os
import stat
import tomllib
from pathlib import Path

import pytest

from infra.stack import secret_file, users
from infra.stack.place import Stack
from tmu.errors import ConfigError
from tmu.settings import STACK, Settings

LOGINS = {"prefect_login", "mlflow_login"}
SECRETS = LOGINS | {"postgres_password", "s3_secret_key", "s3_read_secret", "s3_access_key", "s3_read_key", "stack_id"}


def test_it_is_readable_by_its_owner_alone(stack: Stack):
    assert stat.S_IMODE((stack.home / STACK).stat().st_mode) == 0o600


def test_every_secret_is_another_at_each_first_start(stack: Stack, tmp_path: Path):
    other = tmp_path / "other"
    secret_file.ensure(other, s3="moto", first_port=22000)
    mine, theirs = (tomllib.loads((home / STACK).read_text()) for home in (stack.home, other))
    assert set(mine) >= SECRETS
    assert len({mine[name] for name in SECRETS}) == len(SECRETS)
    assert not {mine[name] for name in SECRETS} & {theirs[name] for name in SECRETS}
    assert mine["ledger"] != theirs["ledger"]


def test_a_second_start_keeps_it(stack: Stack):
    before = (stack.home / STACK).read_bytes()
    assert secret_file.ensure(stack.home, s3="ceph") is False
    assert (stack.home / STACK).read_bytes() == before


def test_a_file_of_an_earlier_version_gets_the_logins_and_keeps_the_rest(stack: Stack):
    path = stack.home / STACK
    before = tomllib.loads(path.read_text())
    kept = "".join(line for line in path.read_text().splitlines(True) if line.split(" ")[0] not in LOGINS)
    path.write_text(kept)
    assert secret_file.ensure(stack.home, s3="ceph") is True
    after = tomllib.loads(path.read_text())
    assert {name: value for name, value in after.items() if name not in LOGINS} == tomllib.loads(kept)
    assert not {after[name] for name in LOGINS} & {before[name] for name in LOGINS}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret_file.ensure(stack.home, s3="ceph") is False


def test_a_file_of_an_earlier_version_gets_the_auditors_role(stack: Stack):
    path = stack.home / STACK
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("search_")))
    assert secret_file.ensure(stack.home, s3="ceph") is False
    values = tomllib.loads(path.read_text())
    assert values["search_ledger"].startswith("postgresql+psycopg://auditor:")
    assert values["search_ledger"].rpartition("@")[2] == values["ledger"].rpartition("@")[2]


def test_it_holds_settings_only(tmp_path: Path):
    secret_file.ensure(tmp_path, s3="ceph", first_port=22000)
    values = tomllib.loads((tmp_path / STACK).read_text())
    assert set(values) <= set(Settings.model_fields)
    assert values["ceph_mon_port"]


def test_a_setting_that_was_deleted_is_missed(stack: Stack):
    path = stack.home / STACK
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "s3_endpoint" not in line))
    with pytest.raises(ConfigError, match="`s3_endpoint` is missing"):
        Stack.open(stack.home).need("s3_endpoint")


def test_a_workspace_without_it_has_no_stack(tmp_path: Path):
    with pytest.raises(ConfigError, match="No stack was started"):
        Stack.open(tmp_path)


def test_a_folder_below_a_private_one_cannot_be_entered_by_others(tmp_path: Path):
    inside = tmp_path / "private" / "data"
    inside.parent.mkdir(mode=0o700)
    assert not users.postgres_may_enter(inside)
    assert users.postgres_may_enter(Path("/usr/lib/data"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands PostgreSQL to another user")
def test_root_puts_the_database_where_its_user_can_enter(stack: Stack):
    data = Path(stack.need("postgres_data"))
    assert users.postgres_may_enter(data)
    assert stack.need("stack_id")[:8] in data.parent.name
