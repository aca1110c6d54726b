"""A suite: one YAML file that says which methods are measured on which forget sets, and how.

`bench/suites/NAME.yaml`; any other file works by its path. A section `toy`, merged over all else, makes of the same
suite one that runs in seconds; null removes a key there.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from bench.sections import Fleet, MethodRow, References, Stream, Verdicts
from tmu.config import Config, ModelConfig, TrainConfig, TwinConfig
from tmu.errors import ConfigError

FOLDER = Path(__file__).parent / "suites"
CONTROLS = ("original", "gold", "second gold")  # rows that every forget set has without being asked
PREDICTOR = "twin"  # the row of the predictor's numbers


class Suite(Config):
    """See the module. Forget sets and methods are in order of priority: the first are measured first."""

    name: str
    title: str
    dataset: str
    reader: dict[str, Any] = Field(default_factory=dict, description="options of the reader, but `root`")
    side: int | None = Field(None, ge=1, description="pixels of a side to which the pictures are scaled; null: as read")
    layout: dict[str, float] = Field(default_factory=dict, description="holdout, test: shares, where keys split")
    sample_seed: int = Field(0, ge=0, description="of the split, the forget sets and the audit's draws")
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    twin: TwinConfig = TwinConfig()
    references: References = References()
    golds: int = Field(6, ge=2)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    forget_sets: dict[str, dict[str, Any]] = Field(default_factory=dict)
    methods: dict[str, MethodRow] = Field(min_length=1)
    retired: tuple[str, ...] = Field((), description="stored rows whose code is gone: shown, never measured")
    stream: Stream | None = None
    fleet: Fleet | None = None
    verdicts: Verdicts | None = None
    most_steps: int | None = Field(None, ge=1, description="of a method's option `steps`: for toys")

    @field_validator("methods", mode="before")
    @classmethod
    def _nothing_said(cls, value: Any) -> Any:
        return {name: row or {} for name, row in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _consistent(self) -> "Suite":
        for name, options in self.forget_sets.items():
            if "kind" not in options:
                raise ValueError(f"forget set `{name}` has no `kind`")
            if "/" in name:
                raise ValueError(f"forget set `{name}`: no `/` in its name")
        for name, row in self.methods.items():
            if name in (*CONTROLS, PREDICTOR, "controls"):
                raise ValueError(f"a method row cannot be called `{name}`")
            if name in self.retired:
                raise ValueError(f"row `{name}` is retired and measured at once")
            unknown = {*(row.only_on or ()), *row.skip_on, *row.options_on} - {*self.forget_sets, "stream"}
            if unknown:
                raise ValueError(f"row `{name}` names a forget set that is not there: {', '.join(sorted(unknown))}")
        if self.stream:
            unknown = set(self.stream.methods) - set(self.methods)
            if unknown or not set(self.stream.seeds) <= set(self.seeds):
                raise ValueError("the stream's methods and seeds must be among the suite's")
        return self

    @model_validator(mode="after")
    def _own_recipes_stand_alone(self) -> "Suite":
        """A row with a recipe of its own has no part in streams, fleets and verdicts: they share one original."""
        asked = [part.methods for part in (self.stream, self.fleet) if part]
        asked += [self.methods if self.verdicts.methods is None else self.verdicts.methods] if self.verdicts else []
        if any(row in self.methods and self.methods[row].train for rows in asked for row in rows):
            raise ValueError("the methods of stream, fleet and verdicts must have the suite's own recipe")
        return self

    @model_validator(mode="after")
    def _judges_what_is_there(self) -> "Suite":
        if self.verdicts is None:
            return self
        asked = self.verdicts
        known = (self.forget_sets, self.methods, self.seeds)
        for name, given, own in zip(("forget_sets", "methods", "seeds"), vars(asked).values(), known, strict=False):
            if not set(given or ()) <= set(own):
                raise ValueError(f"the {name} of the verdicts must be among the suite's")
        if self.golds < 3:
            raise ValueError("verdicts need three golds: two for the gate, one as an honest retrain")
        if max(asked.pairs) > self.references.pairs:
            raise ValueError("the verdicts ask for more pairs of references than there are")
        return self

    @model_validator(mode="after")
    def _worth_running(self) -> "Suite":
        if self.fleet:
            if self.fleet.forget_set not in self.forget_sets or not set(self.fleet.methods) <= set(self.methods):
                raise ValueError("the fleet's forget set and methods must be among the suite's")
        elif not self.stream and not (self.forget_sets and self.seeds):
            raise ValueError("the suite measures nothing: no stream, no fleet, and no forget sets with seeds")
        return self

    def method(self, row: str) -> str:
        """The method's registry name of a row."""
        return self.methods[row].method or row.partition("/")[0]

    def options(self, row: str, forget: str = "") -> Any:
        """The method's options of a row, on a forget set where it has some of its own there, checked and complete."""
        from bench.variants import read_options

        given = self.methods[row]
        options = read_options(self.method(row), given.options | given.options_on.get(forget, {}))
        if self.most_steps is None or "steps" not in type(options).model_fields:
            return options
        return options.model_copy(update={"steps": min(self.most_steps, options.steps)})


def names() -> list[str]:
    """The suites that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str, *, toy: bool = False) -> Suite:
    """The suite by name or path; ConfigError with the key that is wrong."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        raw = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"There is no readable suite `{name}`.", f"Known: {', '.join(names())}.") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"The suite `{name}` is empty.", "See bench/suites/smoke.yaml.")
    small = raw.pop("toy", None)
    if toy and small is None:
        raise ConfigError(f"The suite `{name}` has no `toy` section.", "Run it without --toy.")
    try:
        return Suite.model_validate({"name": path.stem + "-toy" * toy, **(merged(raw, small) if toy else raw)})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "suite"
        raise ConfigError(f"{path}: `{where}`: {first['msg']}.", "Fix that key.") from error


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` upon `base`, section by section; null removes a key, anything but two sections replaces."""
    out = dict(base)
    for key, value in over.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            out[key] = merged(base[key], value)
        else:
            out[key] = value
    return out


def check(suite: Suite) -> None:
    """Refuse unknown readers, kinds, methods and options before anything is computed."""
    from bench.forget_sets import read_options as read_forget_options

    for row, row_given in suite.methods.items():
        for forget in ("", *row_given.options_on):
            suite.options(row, forget)
    for given in suite.forget_sets.values():
        read_forget_options(given["kind"], {name: value for name, value in given.items() if name != "kind"})
