"""The suite `gpu-speed` at toy size on a processor: its parts, their limits, and what a machine without a GPU gets."""

import contextlib
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from bench import cli, results
from bench.gpu_speed import start as suite
from bench.gpu_speed import throughput, to_94
from bench.gpu_speed.airbench import Given, _views, learned, prepared
from bench.gpu_speed.airbench_net import Airbench, Norm, multi_crop
from bench.gpu_speed.limit import Cut, limited
from bench.gpu_speed.plan import LIMITS, MINUTES, limits, recipe_of_94, sizes_of
from bench.gpu_speed.shop import Missing, Shop, coloured, needed
from bench.runner.ground import ground_file, load_ground
from tests.synthetic import tiny_net
from tmu.errors import ConfigError

CPU = torch.device("cpu")


def test_the_toy_stores_rows_of_every_part_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suite.PARTS, "224 px, compiled", lambda shop, tell: needed(None, "another"))
    monkeypatch.setitem(suite.PARTS, "profile", lambda shop, tell: tiny_net()(torch.zeros(1)))
    monkeypatch.setattr("bench.gpu_speed.plan.LIMITS", dict.fromkeys(LIMITS, 600.0))  # the machine may be busy
    summary = suite.start(tmp_path, toy=True, device="cpu")
    assert list(summary["failed"]) == ["profile"]
    rows = results.read("gpu-speed-toy", tmp_path / "gpu-speed-toy" / "results").to_pylist()
    numbers = {(row["method"], row["metric"]): row["value"] for row in rows}
    assert len(numbers) == summary["rows"]
    assert numbers["time to 94 %: airbench94's recipe", "trainings"] == 1
    assert numbers["time to 94 %: engine", "trainings that reached it"] == 0
    assert numbers["retraining, ResNet-18, SalUn's protocol", "seconds of 2 epochs, measured"] > 0
    assert numbers["references", "networks, on halves of D"] == 4
    for name, records in (("10 %", 10), ("1 %", 1)):
        assert numbers[f"deletion by tmu-soft, {name}", "records"] == records
        assert numbers[f"deletion by tmu-soft, {name}", "over a retraining without these records"] > 0
    assert numbers["deletion by tmu-soft, one person", "records"] >= 1
    assert numbers["all: part twin", "cut at its limit"] == 1
    assert numbers["deletion by tmu-soft", "by the usual rates: the twin was cut"] == 1
    assert numbers["all: part 224 px, compiled", "left out, for it needs the part another"] == 1
    assert any(metric.startswith("failed: ") for method, metric in numbers if method == "all: part profile")
    told = {(row["command"], row["dataset"], row["forget_set"], row["seed"]) for row in rows}
    assert told == {("python -m bench gpu-speed --toy", "digits", "the processor", 0)}
    assert all(row["commit"] and "torch" in row["hardware"] for row in rows)
    assert "airbench94's recipe" in Path(summary["page"]).read_text()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    sizes = sizes_of(toy=True)
    ground = load_ground(ground_file(sizes.suite, tmp_path_factory.mktemp("bench")), "cpu")
    return Shop(sizes, CPU, ground=suite._part_of(ground, sizes.most))


def test_compiled_and_plain_are_both_measured_and_the_better_is_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        throughput, "_network", lambda shop: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10))
    )
    small, told = replace(shop, sizes=replace(shop.sizes, side=8), rates={}), []
    for part in (throughput.eager, throughput.compiled):
        part(small, lambda *row: told.append(row))
    best = max(small.rates, key=lambda how: small.rates[how])
    assert set(small.rates) == {"as it is", "compiled"}
    assert (f"224 px: engine, the better: {best}", "images a second", small.rates[best], "1/s") in told


def test_a_machine_without_a_gpu_gets_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("auto", "cpu", "cuda"):
        with pytest.raises(ConfigError, match=r"measures a GPU, and torch .*--toy"):
            suite.start(tmp_path, device=device)
    assert not list(tmp_path.iterdir())
    answer = CliRunner().invoke(cli.app, ["gpu-speed"])
    assert isinstance(answer.exception, ConfigError)
    with pytest.raises(ConfigError, match=r"no use for --only.*--toy"):
        cli.run(["gpu-speed", "--only", "x"])


def test_the_parts_together_take_less_than_the_limit() -> None:
    assert set(LIMITS) == {"data", *suite.PARTS}
    assert sum(limits(MINUTES, toy=False).values()) <= 60 * MINUTES - 15 + 1e-6
    assert limits(4, toy=False)["references"] == pytest.approx(limits(8, toy=False)["references"] / 2)


def test_a_part_is_cut_wherever_it_is_and_its_successor_is_not() -> None:
    began = time.perf_counter()
    with pytest.raises(Cut), limited(0.05):
        while True:
            with contextlib.suppress(Exception):  # as a part might do; the cut goes through it
                time.sleep(60)
    assert time.perf_counter() - began < 30
    with limited(60):
        pass
    time.sleep(0.05)


def test_what_an_earlier_part_did_not_give_is_named() -> None:
    with pytest.raises(Missing, match="data"):
        _ = Shop(sizes_of(toy=True), CPU).data


def test_the_recipe_begins_with_whitened_patches_and_identities() -> None:
    pixels = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    net = Airbench(10, (24, 32, 32), normalise=False).see(pixels)
    found = net.whiten(pixels).permute(1, 0, 2, 3).flatten(1)[:12]
    assert torch.allclose(found.cov(), torch.eye(12), atol=0.05)
    first = net.groups[0][0].weight
    assert torch.equal(first[:, :, 1, 1], torch.eye(24)) and float(first.detach().abs().sum()) == 24
    assert net(pixels).shape == (64, 10)


def test_a_bias_that_counts_eight_times_learns_sixty_four_times_as_fast() -> None:
    moved = []
    for factor in (1.0, 8.0):
        norm = Norm(3, factor).train()
        optimiser = torch.optim.SGD([norm.bias], lr=0.01)
        (norm(torch.rand(4, 3, 2, 2)) * 2).sum().backward()
        optimiser.step()
        moved.append(norm.bias.detach() * factor)
    assert torch.allclose(moved[1], 64 * moved[0])
    assert not norm.weight.requires_grad


def test_views_are_shifted_and_mirrored_pictures() -> None:
    pixels = torch.rand(40, 3, 8, 8)
    torch.manual_seed(0)
    views = _views(pixels, torch.arange(40) % 2 == 1)
    assert views.shape == pixels.shape
    wide = torch.nn.functional.pad(pixels, (2,) * 4, mode="reflect")
    for row in (0, 1, 6, 7):
        turned = views[row].flip(-1) if row % 2 else views[row]
        crops = [wide[row, :, down : down + 8, right : right + 8] for down in range(5) for right in range(5)]
        assert any(torch.equal(turned, crop) for crop in crops)


def test_the_recipe_learns() -> None:
    drawn, labels = torch.Generator().manual_seed(0), torch.arange(128) % 2
    pixels = torch.randint(0, 256, (128, 3, 32, 32), generator=drawn)
    images = torch.where(labels[:, None, None, None] == 1, pixels, pixels // 16 * 16).to(torch.uint8)
    images[labels == 1, :, :16] //= 2
    torch.manual_seed(0)
    net = learned(Given(images, labels, 2, (8, 8, 8), 15))
    right = multi_crop(net, prepared(images)).argmax(1) == labels
    assert float(right.float().mean()) > 0.8


def test_an_engine_that_reaches_the_aim_is_set_over_the_recipe(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = iter((90.0, 94.5, 99.0))
    monkeypatch.setattr(to_94, "_right", lambda *_: next(reached))
    monkeypatch.setattr(to_94, "_answers", lambda *_: None)
    monkeypatch.setattr(Shop, "fit", lambda self, *_, **__: None)
    given, told = replace(shop, sizes=replace(shop.sizes, lengths=(3, 5, 7)), plain=2.0), {}
    to_94.engine(given, lambda method, metric, value, unit: told.update({(method, metric): value}))
    seconds = told["time to 94 %: engine", "seconds of the first training that reaches it"]
    assert seconds == told["time to 94 %: engine, 5 epochs", "seconds of a training"]
    assert told["time to 94 %: engine", "over airbench94's recipe"] == pytest.approx(seconds / 2)
    assert not any("7 epochs" in method for method, _ in told)


def test_pictures_get_colours_and_another_size() -> None:
    grey = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(coloured(grey, 8), grey.expand(-1, 3, -1, -1))
    assert coloured(grey, 16).shape == (2, 3, 16, 16)
    assert coloured(grey, 16).dtype == torch.uint8


def test_decoupled_rates_are_those_of_a_mean_loss() -> None:
    recipe, unit = recipe_of_94(10), 1024 * (1 + 1 / (1 - 0.85))
    assert recipe.lr == pytest.approx(11.5 / unit * 1024, rel=0.01)
    assert recipe.lr * recipe.weight_decay == pytest.approx(0.0153 * 1024 / unit, rel=0.01)
