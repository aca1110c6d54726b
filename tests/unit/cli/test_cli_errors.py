"""One line an error, the exit code of its class, JSON on request; faults and interrupts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tmu import errors
from tmu.cli import EXIT_CODES, app, flow, output


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def demo(home: str | None) -> dict:
        raise error

    monkeypatch.setattr(flow, "load", lambda name: demo)


@pytest.mark.parametrize(
    "kind",
    [
        errors.ConfigError,
        errors.RequestError,
        errors.DataError,
        errors.ModelError,
        errors.GateError,
        errors.StorageError,
    ],
)
def test_a_user_error_is_one_line_with_its_exit_code(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    _raising(monkeypatch, kind("The [thing]\nis bad.", "Fix it."))
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == kind.exit_code
    assert result.exit_code in EXIT_CODES
    assert result.stderr == "error: The [thing] is bad. Fix it.\n"
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [["--json", "demo"], ["demo", "--json"]])
def test_json_errors_go_to_stdout(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    _raising(monkeypatch, errors.GateError("Too weak.", "Train longer."))
    result = CliRunner().invoke(app, arguments)
    facts = {"type": "GateError", "what": "Too weak.", "hint": "Train longer.", "exit_code": 6}
    assert json.loads(result.stdout) == {"error": facts}
    assert result.stderr == ""
    assert result.exit_code == 6


def test_of_many_details_the_terminal_shows_the_first_and_json_all(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"line {number}" for number in range(33)]
    _raising(monkeypatch, errors.DataError("Many are bad.", "Mend them.", lines))
    shown = CliRunner().invoke(app, ["demo"]).stderr.splitlines()
    assert shown[1:31] == [f"  {line}" for line in lines[:30]] and shown[31].startswith("  and 3 more;")
    assert json.loads(CliRunner().invoke(app, ["demo", "--json"]).stdout)["error"]["details"] == lines


def test_facts_are_words_and_no_python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(output.MODE, "json", False)
    output.emit(None, lambda: [output.facts({"splits": {"train": 3, "test": 1}, "left": [], "decoder": None, "n": 0})])
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [line[1].strip() for line in lines] == ["train 3, test 1", "none", "none", "0"]


def test_a_long_address_in_a_narrow_table_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output.MODE, "json", False)
    monkeypatch.setenv("COLUMNS", "40")
    address, rows = "/".join(["data", "shards", "0123456789" * 4]), output.table("store", "address")
    rows.add_row("a store of three words", address)
    output.emit(None, lambda: [rows])
    lines = capsys.readouterr().out.splitlines()
    column = lines[1].index("address")
    assert address in "".join(line[column:].strip() for line in lines)


def test_json_of_one_call_does_not_stay_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    _raising(monkeypatch, errors.GateError("Too weak.", "Train longer."))
    CliRunner().invoke(app, ["demo", "--json"])
    assert CliRunner().invoke(app, ["demo"]).stdout == ""


def test_a_fault_is_named_as_ours_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMU_DEBUG", raising=False)
    _raising(monkeypatch, ValueError("maria.png"))  # a message that is not ours may hold what must not be printed
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert result.stderr.startswith("this is an internal error of tmu: ValueError.")
    assert "TMU_DEBUG=1" in result.stderr
    assert "maria" not in result.output
    assert result.stderr.count("\n") == 1


def test_debug_lets_the_traceback_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMU_DEBUG", "1")
    _raising(monkeypatch, ValueError("inner"))
    assert isinstance(CliRunner().invoke(app, ["demo"]).exception, ValueError)


def test_an_operating_system_refusal_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _raising(monkeypatch, OSError(28, "No space left on device"))
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == errors.StorageError.exit_code
    assert "The disk is full" in result.stderr


def test_an_interrupt_exits_130_and_says_what_the_same_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    _raising(monkeypatch, KeyboardInterrupt())
    result = CliRunner().invoke(app, ["demo"])
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.startswith("Interrupted. Run the same command again") and result.stderr.count("\n") == 1
    result = CliRunner().invoke(app, ["demo", "--json"])
    assert result.exit_code == json.loads(result.stdout)["error"]["exit_code"] == 130


def test_an_unknown_option_exits_2() -> None:
    assert CliRunner().invoke(app, ["demo", "--nope"]).exit_code == 2


def test_the_help_and_the_documentation_list_every_exit_code() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    table = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    for code, meaning in EXIT_CODES.items():
        assert f"{code}: {meaning}" in shown
        assert f"| {code} | {meaning} |" in table


def test_every_verb_has_help_with_an_example_and_json() -> None:
    for arguments in _verbs():
        shown = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0
        assert "Example" in shown.stdout, arguments
        assert "--json" in shown.stdout, arguments


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tmu.cli import app; app(['--help'], standalone_mode=False);"
        "print([name for name in ('torch', 'numpy', 'pyarrow', 'mlflow', 'prefect', 'dvc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def _verbs() -> list[list[str]]:
    from typer.main import get_command

    found = []
    for name, command in get_command(app).commands.items():
        inner = getattr(command, "commands", None)
        found += [[name, each] for each in inner] if inner else [[name]]
    return found
