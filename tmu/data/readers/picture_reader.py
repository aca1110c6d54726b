"""What readers of encoded pictures share: one form for all, one error for all bad ones, JPEGs kept where they fit.

Two passes over the source: the headers (sizes, grey or colour, classes), then the pixels. A reader gives its entries,
each time anew, so that a stream of any length needs no memory. Messages name a place in the source; names of files,
which may name people, are only in an error's `details`, for the terminal.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tmu.config import Config
from tmu.data.readers import Reader
from tmu.data.readers.picture_files import Fault, Source
from tmu.data.readers.pictures import Fit, Form, Ground, Header, decode, look
from tmu.data.readers.sizes import said_sizes
from tmu.data.records import Record
from tmu.errors import DataError

_DIGITS = 18  # of a class that is a number
_SHOWN = 1_000
"""Bad pictures that are listed one by one."""


class PictureOptions(Config):
    """What pictures become. `size`: all are made size x size pixels by `fit`; null: all must be of one size already."""

    size: int | None = Field(None, ge=1)
    fit: Fit | None = Field(None, description="resize changes proportions, crop cuts, pad adds; null: resize")
    mode: Literal["auto", "L", "RGB"] = Field("auto", description="auto: L if every image is grey, else RGB")
    ground: Ground | None = Field(
        None, description="the colour below transparent parts (null: refuse them) and beside what `pad` adds"
    )

    @model_validator(mode="after")
    def _fit_needs_a_size(self) -> "PictureOptions":
        if self.fit is not None and self.size is None:
            raise ValueError("`fit` needs a size, such as --size 224")
        return self


@dataclass(frozen=True, eq=False)
class Entry:
    """One picture of a source. where: its place, free of names. name: its record id. source: its file or bytes, or what
    is wrong with it already.
    """

    where: str
    name: str
    label: str
    people: tuple[str, ...]
    split: str | None
    source: Source | Fault


def people_of(value: Any) -> tuple[str, ...]:
    """Who is in a picture by a cell of a table: one id, a list of them, or nobody (null, NaN, empty).

    Raises Fault for what is no id: texts and whole numbers are.
    """
    each = value if isinstance(value, list) else [value]
    found = [one for one in each if one is not None and one != "" and one == one]  # NaN: what pandas writes for null
    if any(isinstance(one, bool) or not isinstance(one, str | int) for one in found):
        raise Fault("has a person that is no text or whole number", "Write the ids of people as text.")
    return tuple(map(str, found))


@dataclass
class _Survey:
    """What the headers say. sizes: of the sound ones. bad: place and what is wrong, by position."""

    total: int = 0
    grey: bool = True
    labels: set[str] = field(default_factory=set)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    bad: dict[int, tuple[str, str, Fault]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        if not isinstance(entry.source, Fault):
            self.labels.add(entry.label)
        try:
            header = _header(entry)
        except Fault as fault:
            self.bad[self.total] = (entry.where, entry.name, fault)
        else:
            self.sizes[header.size] += 1
            self.grey &= header.grey
        self.total += 1


def _place(name: str) -> tuple[int, str]:
    """Numbers by size, behind all else by name."""
    return (int(name) if name.isdecimal() and len(name) <= _DIGITS else -1), name


class PictureReader(Reader):
    """See the module. A reader has `entries` and, where the source names its classes, `named_classes`."""

    simulated = False
    Options: ClassVar[type[Config]] = PictureOptions

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._converted: Counter[str] = Counter()

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """The pictures of the source in a fixed order. Raises DataError where the source itself is damaged."""

    def named_classes(self) -> list[str] | None:
        """The classes as the source names them; None: those that the records have."""
        return None

    def classes(self) -> list[str]:
        names = self.named_classes()
        if names is not None:
            return names
        return sorted(self._survey.labels, key=_place)

    def shape(self) -> tuple[int, int, int]:
        width, height = self._form.size
        return (1 if self._form.mode == "L" else 3), height, width

    def count(self) -> int:
        return self._survey.total

    def converted(self) -> Counter[str]:
        return self._converted

    def sizes(self) -> Counter[tuple[int, int]]:
        return self._survey.sizes

    def records(self) -> Iterator[Record]:
        """Raises DataError at the end, for all bad pictures together."""
        labels = {name: number for number, name in enumerate(self.classes())}
        form, bad = self._form, dict(self._survey.bad)
        self._converted.clear()
        for position, entry in enumerate(self.entries()):
            if position in bad or isinstance(entry.source, Fault):
                continue
            try:
                found = decode(entry.source, form)
            except Fault as fault:
                said = _other_size(entry, form) if fault.kind == "is of another size" else fault
                bad[position] = (entry.where, entry.name, said)
                continue
            self._converted.update(found.done)
            subject, *also = entry.people or (None,)
            yield Record(
                entry.name, subject, labels[entry.label], found.pixels, entry.split, tuple(also), kept=found.kept
            )
        if bad:
            raise _refusal([bad[position] for position in sorted(bad)], self._survey)

    @cached_property
    def _survey(self) -> _Survey:
        found = _Survey()
        for entry in self.entries():
            found.add(entry)
        if not found.total:
            raise DataError("There is no picture in the source.", "Check `root`.")
        return found

    @cached_property
    def _form(self) -> Form:
        options, survey = self.options, self._survey
        if not survey.sizes:
            raise _refusal(list(survey.bad.values()), survey)
        size = (options.size,) * 2 if options.size else survey.sizes.most_common(1)[0][0]
        mode = ("L" if survey.grey else "RGB") if options.mode == "auto" else options.mode
        return Form(mode, size, options.ground, options.size and (options.fit or "resize"))


def _header(entry: Entry) -> Header:
    if isinstance(entry.source, Fault):
        raise entry.source
    return look(entry.source)


def _other_size(entry: Entry, form: Form) -> Fault:
    width, height = _header(entry).size
    said = f"is {width}x{height} pixels, most others {form.size[0]}x{form.size[1]}"
    return Fault("is of another size", "Give all of them one: `--size`, and `--fit resize`, `crop` or `pad`.", said)


def _refusal(bad: list[tuple[str, str, Fault]], survey: _Survey) -> DataError:
    """One error for all bad pictures: counts by kind in its text, their names in its details."""
    details = [f"{where}, {name}: {fault.said}" for where, name, fault in bad[:_SHOWN]]
    hints = dict.fromkeys(fault.hint for _, _, fault in bad)
    if len(bad) == 1:
        ((where, _, fault),) = bad
        return DataError(f"{where} {fault.said}.", fault.hint, details)
    kinds = Counter(fault.kind.removeprefix("is ").removeprefix("has ") for _, _, fault in bad)
    counted = ", ".join(f"{number:,} x {kind}" for kind, number in sorted(kinds.items()))
    sizes = f" The sizes: {said_sizes(survey.sizes)}." if "of another size" in kinds else ""
    return DataError(
        f"{len(bad):,} of {survey.total:,} pictures are refused: {counted}.{sizes}", " ".join(hints), details
    )
