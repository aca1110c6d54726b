"""What a changed or deleted flow run left in the files of Prefect's database is overwritten."""

import sqlalchemy as sa

from tests.integration.test_ledger_shred_postgres import own, places_of  # noqa: F401 - a fixture
from tmu.purge.prefect_rows import OldRows
from tmu.settings import Settings

KEY = "5d41402abc4b2a76b9719d911017c592"


def test_old_rows_are_in_no_file_of_the_table_afterwards(own, tmp_path) -> None:  # noqa: F811
    address = own.new_database()
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE flow_run (id int, parameters text)")
        connection.exec_driver_sql(f"INSERT INTO flow_run SELECT n, '{KEY}' FROM generate_series(1, 9) n")
        connection.exec_driver_sql("ANALYZE flow_run")
        connection.exec_driver_sql("UPDATE flow_run SET parameters = ''")
        connection.exec_driver_sql("CHECKPOINT")
    engine.dispose()
    assert "base" in places_of(own, KEY)
    rows = OldRows(Settings(prefect_database=address.replace("+psycopg", "+asyncpg")), tmp_path / "mark")
    assert rows.reachable and not rows.wait
    rows.note()
    assert rows.wait
    rows.rewrite()
    own.kill()
    own.start()
    assert "base" not in places_of(own, KEY) and not rows.wait


def test_without_the_address_nothing_is_reached(tmp_path) -> None:
    rows = OldRows(Settings(), tmp_path / "mark")
    rows.note()
    rows.rewrite()
    assert not rows.reachable and rows.wait
