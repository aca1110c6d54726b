"""The closure of imports: what a module rests on, and what it does not."""

import pytest

from tmu.closure import closure, imports


@pytest.fixture
def package(tmp_path):
    """A function that writes files of a package `p` and gives the closure of starts."""

    def write(files: dict[str, str], *starts: str, leave_out: tuple[str, ...] = ()) -> set[str]:
        for name, source in files.items():
            path = tmp_path / "p" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return set(closure(starts, {"p": tmp_path / "p"}, leave_out))

    return write


def test_imports_are_followed_through_modules_and_packages(package):
    files = {"__init__.py": "", "a.py": "import p.b", "b.py": "from p import c", "c.py": "", "d.py": "import p.a"}
    assert package(files, "p.a") == {"p", "p.a", "p.b", "p.c"}
    assert package(files, "p.c") == {"p", "p.c"}


def test_the_packages_a_module_lies_in_run_before_it_and_count(package):
    files = {"__init__.py": "", "room/__init__.py": "from p.room import help", "room/help.py": "", "room/x.py": ""}
    assert package(files, "p.room.x") == {"p", "p.room", "p.room.help", "p.room.x"}


@pytest.mark.parametrize(
    "source",
    ["def f():\n    import p.b", "def f():\n    from p import b", "from . import b", "from .b import t", "import p.b",
     "try:\n    from p.b import thing\nexcept ImportError:\n    thing = None",
     "if TYPE_CHECKING:\n    import p.a\nelse:\n    import p.b", "if not TYPE_CHECKING:\n    import p.b",
     "with f() as x:\n    for y in x:\n        import p.b", "match x:\n    case 1:\n        import p.b",
     "try:\n    x = 1\nfinally:\n    import p.b", "while x:\n    pass\nelse:\n    class C:\n        import p.b"],
)  # fmt: skip
def test_an_import_counts_wherever_it_stands(package, source):
    assert "p.b" in package({"__init__.py": "", "a.py": source, "b.py": ""}, "p.a")


@pytest.mark.parametrize(
    "source",
    ["from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import thing",
     "import typing\nif typing.TYPE_CHECKING:\n    import p.b", "text = 'import p.b'  # import p.b", "import os.path"],
)  # fmt: skip
def test_what_does_not_run_does_not_count(package, source):
    assert package({"__init__.py": "", "a.py": source, "b.py": ""}, "p.a") == {"p", "p.a"}


def test_circles_end_and_what_is_left_out_is_not_entered(package):
    files = {"__init__.py": "", "a.py": "import p.b", "b.py": "import p.a, p.c", "c.py": "import p.d", "d.py": ""}
    assert package(files, "p.a") == {"p", "p.a", "p.b", "p.c", "p.d"}
    assert package(files, "p.a", leave_out=("p.c",)) == {"p", "p.a", "p.b"}
    assert package(files, "p.c", leave_out=("p.c", "p.d")) == {"p", "p.c"}  # what is asked for counts


def test_a_start_without_source_is_a_fault(package):
    with pytest.raises(ValueError, match=r"p\.attic"):
        package({"__init__.py": ""}, "p.attic")


def test_a_source_that_is_not_python_imports_nothing():
    assert imports("print 'old'", "p.a") == imports("\0", "p.a") == ()
