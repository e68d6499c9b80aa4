"""MC dropout by hand, and on networks: seeds, modes, generators, and networks that have none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models import SegmentationModel, load_model, observe
from segood.scores import MCDropout, get_score


def image(rows: int = 33, columns: int = 49) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def of_probs(*probs: float) -> Tensor:
    """Logits (C,1,1) of a pixel."""
    return torch.tensor(probs).log().reshape(-1, 1, 1)


def bits(*probs: float) -> float:
    return -sum(p * np.log2(p) for p in probs if p)


def small() -> SegmentationModel:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout2d(0.5), nn.Conv2d(16, 4, 1)
    )
    return SegmentationModel(network, num_classes=4)


def test_two_passes_by_hand() -> None:
    passes = [of_probs(0.9, 0.1), of_probs(0.3, 0.7)]  # mean (0.6, 0.4)
    entropy = get_score("mc_dropout").of_passes(iter(passes))  # type: ignore[attr-defined]
    assert entropy.item() == pytest.approx(bits(0.6, 0.4), rel=1e-6)
    found = MCDropout(measure="mutual_information").of_passes(passes)
    expected = bits(0.6, 0.4) - (bits(0.9, 0.1) + bits(0.3, 0.7)) / 2
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_four_classes_are_normalised() -> None:
    one_each = [100.0 * torch.eye(4)[c].reshape(4, 1, 1) for c in range(4)]
    assert MCDropout().of_passes(one_each).item() == pytest.approx(1)
    assert MCDropout(measure="mutual_information").of_passes(one_each).item() == pytest.approx(1)


class HalfOfTheChannels(nn.modules.dropout._DropoutNd):
    """A dropout without chance: in training, the first channel goes in one pass, the second in the next."""

    def __init__(self) -> None:
        super().__init__(0.5)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        self.calls += 1
        kept = torch.zeros(2)
        kept[self.calls % 2] = 2.0
        return x * kept.view(1, 2, 1, 1)


def test_entropy_of_the_mean_by_hand_with_a_dropout_without_chance() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), HalfOfTheChannels())
    with torch.no_grad():
        network[0].weight.zero_()  # type: ignore[union-attr, operator]
        network[0].bias.copy_(torch.tensor([np.log(3.0), 0.0]) / 2)  # type: ignore[union-attr, operator]
    model = SegmentationModel(network, num_classes=2)
    # passes: logits (0, 0) -> (1/2, 1/2), and (log 3, 0) -> (3/4, 1/4); mean (5/8, 3/8)
    score = MCDropout(passes=2)
    found = score.of(observe(model, image(2, 3), scores=[score]))
    np.testing.assert_allclose(found, bits(5 / 8, 3 / 8), rtol=1e-5)
    between = MCDropout(passes=4, measure="mutual_information").of(observe(model, image(2, 3)))
    np.testing.assert_allclose(between, bits(5 / 8, 3 / 8) - (1 + bits(3 / 4, 1 / 4)) / 2, rtol=1e-4)


def test_mutual_information_lies_between_0_and_the_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    passes = [20 * torch.randn(5, 30, 40, generator=generator) for _ in range(6)]
    entropy = MCDropout().of_passes(passes)
    between = MCDropout(measure="mutual_information").of_passes(passes)
    assert 0 <= between.min() <= between.max() <= 1
    assert bool((between <= entropy + 1e-6).all())
    same = MCDropout(measure="mutual_information").of_passes([passes[0]] * 5)
    assert 0 <= same.min() <= same.max() < 1e-6


def test_blocks_of_rows_change_nothing_and_extremes_are_safe() -> None:
    generator = torch.Generator().manual_seed(0)
    passes = [torch.randn(5, 500, 600, generator=generator) for _ in range(2)]
    for measure in ("entropy", "mutual_information"):
        score = get_score("mc_dropout", measure=measure)
        whole = score.of_passes(passes)  # type: ignore[attr-defined]
        part = score.of_passes([p[:, 200:210] for p in passes])  # type: ignore[attr-defined]
        torch.testing.assert_close(whole[200:210], part)
        extreme = torch.tensor([1e4, -1e4, 1e4, 0.0]).reshape(4, 1, 1)
        found = score.of_passes([extreme, -extreme])  # type: ignore[attr-defined]
        assert bool(torch.isfinite(found.half()).all())


@pytest.mark.parametrize("measure", ["entropy", "mutual_information"])
def test_a_seed_gives_the_same_score_and_leaves_the_generators_alone(measure: str) -> None:
    model = small()
    before = torch.random.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (
        get_score("mc_dropout", measure=measure, seed=s).of(observe(model, image())) for s in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 <= first.min() <= first.max() <= 1


def test_between_passes_nothing_is_changed() -> None:
    model = small().train()
    model.network[1].eval()  # type: ignore[index]
    modes = [m.training for m in model.modules()]
    statistics = model.network[1].running_mean.clone()  # type: ignore[index]
    state = torch.random.get_rng_state()
    seen = observe(model, image())
    logits = list[Tensor]()
    for value in seen.dropout_logits(3, seed=0):
        assert [m.training for m in model.modules()] == modes
        assert torch.equal(torch.random.get_rng_state(), state)
        logits.append(value)
    assert torch.equal(model.network[1].running_mean, statistics)  # type: ignore[index]
    assert seen.num_forwards == 3
    assert seen.forward_seconds is None
    assert not torch.equal(logits[0], logits[1])
    # more passes begin with the same ones
    for one, two in zip(logits, observe(model, image()).dropout_logits(5, seed=0), strict=False):
        assert torch.equal(one, two)


def test_modes_are_restored_where_a_pass_fails() -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = nn.Dropout(0.5)

        def forward(self, images: Tensor) -> Tensor:
            if self.dropout.training:
                raise ArithmeticError("no")
            return torch.cat([images, images], 1)

    model = SegmentationModel(Fails(), num_classes=6).eval()
    with pytest.raises(ArithmeticError, match="no"):
        get_score("mc_dropout").of(observe(model, image()))
    assert not any(m.training for m in model.modules())


def test_the_papers_network() -> None:
    torch.manual_seed(0)
    model = load_model("deeplabv3plus_wrn38", width=4, num_classes=5)
    assert model.has_dropout
    score = MCDropout(passes=2)
    seen = observe(model, image(), scores=[score])
    found = score.of(seen)
    assert found.shape == (33, 49)
    assert 0 <= found.min() <= found.max() <= 1
    first, second = seen.dropout_logits(2, 0)
    assert not torch.equal(first, second)
    assert not any(m.training for m in model.modules())


def test_transformer_layers_drop_too() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, 8, 4, stride=4)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)

        def forward(self, images: Tensor) -> Tensor:
            x = self.embed(images)
            return self.layer(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)

    torch.manual_seed(0)
    model = SegmentationModel(Tokens(), num_classes=8).eval()
    first, second = observe(model, image(16, 16)).dropout_logits(2, 0)
    assert not torch.equal(first, second)
    assert torch.backends.mha.get_fastpath_enabled()


def test_networks_without_dropout_are_refused_before_any_forward() -> None:
    model = load_model("espnetv2", scale=0.5)
    reason = r"'mc_dropout' needs dropout, and network espnetv2 has no dropout .*another score, for example"
    with pytest.raises(UsageError, match=reason):
        observe(model, image(), scores=[MCDropout()])
    with pytest.raises(UsageError, match=r"network espnetv2 has no dropout module .*'mc_dropout'"):
        MCDropout().of(observe(model, image()))
    with pytest.raises(UsageError, match="network Sequential has no dropout"):  # that drops anything
        observe(
            SegmentationModel(nn.Sequential(nn.Dropout(0.0)), num_classes=3), image(), scores=[MCDropout()]
        )
    MCDropout().check_network(nn.Dropout(0.0))  # nobody knows


def test_bad_input() -> None:
    score = MCDropout()
    with pytest.raises(UsageError, match="'mc_dropout' needs several passes with dropout, so logits are not"):
        score(logits=torch.zeros(1, 3, 2, 2))
    with pytest.raises(UsageError, match="must get at least one pass; got none"):
        score.of_passes([])
    with pytest.raises(UsageError, match="score 'mc_dropout': `logits` must be finite"):
        score.of_passes([torch.zeros(3, 2, 2), torch.full((3, 2, 2), torch.nan)])
    with pytest.raises(UsageError, match=r"shape of the first, \(3, 2, 2\); got \(3, 2, 1\)"):
        score.of_passes([torch.zeros(3, 2, 2), torch.zeros(3, 2, 1)])
    for passes in (0, 2.5, True):
        with pytest.raises(UsageError, match="`passes` must be a whole number, at least 1"):
            MCDropout(passes=passes)
    with pytest.raises(UsageError, match="`seed` must be a whole number, at least 0; got -1"):
        MCDropout(seed=-1)
    with pytest.raises(
        UsageError, match=r"`measure` must be one of entropy, mutual_information.*did you mean"
    ):
        get_score("mc_dropout", measure="entropie")


def test_passes_are_read_one_by_one() -> None:
    alive = 0

    def passes() -> Iterator[Tensor]:
        nonlocal alive
        for i in range(3):
            alive += 1
            yield torch.full((2, 1, 1), float(i))
            alive -= 1

    assert MCDropout().of_passes(passes()).item() == pytest.approx(1)
    assert alive == 0
