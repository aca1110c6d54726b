"""Parameters: files of earlier versions still work, and what is unknown is refused by name."""

import pytest

from tmu.config import WHOLE, Params, TrainConfig, TwinConfig, load_params
from tmu.errors import ConfigError


@pytest.mark.parametrize("name", ["cross_fit", "halves"])
def test_a_parameter_of_an_earlier_version_that_is_of_no_use_any_more_is_passed_over(tmp_path, name):
    (tmp_path / "params.yaml").write_text(f"twin: {{{name}: false, folds: 7}}\n")
    params = load_params(tmp_path / "params.yaml")
    assert params.twin.folds == 7
    assert name not in params.model_dump()["twin"]
    assert params.twin == Params.model_validate({"twin": {"folds": 7}}).twin


@pytest.mark.parametrize(
    ("part", "key"), [("twin", "crossfit"), ("references", "cross_fit"), ("references", "networks")]
)
def test_an_unknown_parameter_is_refused_by_name(tmp_path, part, key):
    (tmp_path / "params.yaml").write_text(f"{part}: {{{key}: 1}}\n")
    with pytest.raises(ConfigError, match=rf"{part}\.{key}"):
        load_params(tmp_path / "params.yaml")


def _dumped(params: Params) -> dict:
    return params.model_dump(mode="json")


def test_options_that_came_later_leave_the_digests_of_earlier_recipes():
    """The digests are those of recipes that had eleven options."""
    assert TrainConfig().digest().startswith("1851302b6b32")
    assert TwinConfig().digest().startswith("7dfe19f0fe58")
    assert set(_dumped(Params())["train"]) == set(_dumped(Params())["twin"]["train"])
    assert "optimiser" not in _dumped(Params())["train"]
    assert Params().model_dump(mode="json", context=WHOLE)["twin"]["train"]["optimiser"] == "sgd"


@pytest.mark.parametrize(
    "train", [{"optimiser": "adamw"}, {"ema": 0.9}, {"augment": ["crop"], "crop_area": 0.5}, {"holdout_records": 5}]
)
def test_an_option_that_is_used_counts_and_comes_back(train):
    params = Params.model_validate({"train": train})
    assert {name: _dumped(params)["train"][name] for name in train} == train
    assert Params.model_validate(_dumped(params)) == Params.model_validate_json(params.model_dump_json()) == params
    assert params.train.digest() != TrainConfig().digest()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train: {optimiser: lion}", r"`train\.optimiser`: Input should be 'sgd' or 'adamw'"),
        ("train: {ema: 1.0}", r"`train\.ema`: Input should be less than 1"),
        ("train: {backbone_lr: -1}", r"`train\.backbone_lr`: Input should be greater than or equal to 0"),
        ("train: {augment: [crop, blur]}", r"`train\.augment`: write one of none, shift, flip_shift, or a list"),
        ("train: {augment: [crop, crop]}", r"`train\.augment`: write one of none"),
        ("train: {augment: []}", r"`train\.augment`: write one of none"),
        ("train: {augment: [flip], strength: 20}", r"`strength` is set, and `augment` has no `randaugment`; add"),
        ("train: {early_stop: 2, holdout_records: 0}", r"`early_stop` needs hold-out records to look at; set"),
        ("train: {head: ridge, ema: 0.9}", r"`ema` is set, and a ridge head is solved in one pass without it; leave"),
        ("train: {head: ridge, augment: [crop]}", r"`augment` is set, and a ridge head is solved"),
        ("twin: {train: {early_stop: 2}}", r"`twin`: the twin learns the hold-out, and nothing is left to stop by"),
        ("twin: {train: {head: ridge}}", r"`twin`: the twin is fine-tuned from the model, and a ridge head has none"),
    ],
)
def test_a_bad_or_contradictory_option_is_refused_in_one_line(tmp_path, line, said):
    (tmp_path / "params.yaml").write_text(line + "\n")
    with pytest.raises(ConfigError, match=said) as caught:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)
    assert caught.value.hint
