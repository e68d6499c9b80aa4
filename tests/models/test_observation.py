"""One image seen by one network: what is shared, what it costs, and that the network is left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.test_contract import CASES, CLASSES
from tests.models.test_onnx_network import write
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models import Inference, Preprocessing, SegmentationModel, load_model, observe
from segood.models.config import ModelConfig
from segood.models.features import cut_feature_padding, default_layer
from segood.scores import ODIN, Mahalanobis, MCDropout, get_score
from segood.scores.odin import LogMaxSoftmax


def image(rows: int = 33, columns: int = 49) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


class Counted(nn.Module):
    """A small network that counts its forwards and notes the size of what it sees."""

    def __init__(self, stride: int = 2, kernel: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, kernel, padding=kernel // 2, stride=stride),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
        )
        self.head = nn.Conv2d(8, 4, 1)
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(tuple(images.shape))
        return self.head(self.body(images))


def counted(*, preprocessing: Preprocessing | None = None, **options: Any) -> SegmentationModel:
    return SegmentationModel(
        Counted(options.pop("stride", 2), options.pop("kernel", 3)),
        num_classes=4,
        preprocessing=preprocessing,
        inference=Inference(**options),
    )


def num_hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


# ---- logits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile_size": (16, 24), "overlap": 0.25, "blend": "gaussian"},
        {"scales": (0.5, 1.0), "flip": True, "average": "probs"},
        {"precision": "bfloat16", "channels_last": True},
    ],
)
@pytest.mark.parametrize("size", [None, (20, 31)])
def test_logits_are_those_of_predict_logits(options: dict[str, Any], size: tuple[int, int] | None) -> None:
    model = counted(**options)
    seen = observe(model, image(), size)
    assert seen.forward_seconds is None
    logits = seen.logits()
    assert torch.equal(logits, model.predict_logits(image(), size))
    assert seen.size == tuple(logits.shape[1:]) == (size or (33, 49))
    assert seen.num_classes == 4
    assert not logits.requires_grad
    assert seen.logits() is logits
    assert seen.num_forwards == 1
    assert seen.forward_seconds is not None
    assert seen.forward_seconds > 0
    torch.testing.assert_close(get_score("entropy").of(seen), get_score("entropy")(logits=logits[None])[0])


def test_one_forward_serves_all_scores() -> None:
    model = counted().train()
    model.network.body.eval()  # type: ignore[union-attr, operator]
    modes = [m.training for m in model.modules()]
    scores = [
        get_score("entropy"),
        get_score("max_logit"),
        Mahalanobis(),
        Mahalanobis(layer="body.0"),
        ODIN(),
    ]
    seen = observe(model, image(), scores=scores)
    assert model.network.sizes == [(1, 3, 65, 97)]  # type: ignore[comparison-overlap]  # the default layer
    model.network.sizes.clear()  # type: ignore[operator, union-attr]
    with torch.no_grad():
        for score in scores[:2]:
            score.of(seen)
    assert (seen.features().shape, seen.features("body.0").shape) == ((8, 17, 25), (8, 17, 25))
    assert seen.num_forwards == 1
    ODIN().of(seen)
    assert seen.num_forwards == 2 == len(model.network.sizes)  # type: ignore[arg-type]
    seen.features("body.1")  # was not announced
    assert seen.num_forwards == 3
    seen.features("body.1")
    assert seen.num_forwards == 3
    assert [m.training for m in model.modules()] == modes
    assert num_hooks(model) == 0
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    torch.testing.assert_close(seen.logits(), model.predict_logits(image()))


def test_frozen_parameters_stay_frozen() -> None:
    model = counted()
    model.network.head.requires_grad_(False)  # type: ignore[union-attr, operator]
    wanted = [p.requires_grad for p in model.parameters()]
    ODIN().of(observe(model, image(), scores=[ODIN()]))
    assert [p.requires_grad for p in model.parameters()] == wanted


def test_within_inference_mode() -> None:
    model = counted()
    expected = ODIN().of(observe(model, image()))
    with torch.inference_mode():
        found = ODIN().of(observe(model, image(), scores=[ODIN()]))
    torch.testing.assert_close(found, expected)


def test_working_size() -> None:
    model = counted(preprocessing=Preprocessing(working_size=(20, 30)))
    network = model.network
    observe(model, image()).logits()
    seen = observe(model, image(), working_size=(40, 50))
    assert seen.logits().shape == (4, 33, 49)
    assert seen.features("body.2").shape == (8, 20, 25)
    assert network.sizes == [(1, 3, 20, 30), (1, 3, 40, 50), (1, 3, 40, 50)]
    assert model.preprocessing.working_size == (20, 30)
    resized = counted(preprocessing=Preprocessing(working_size=(40, 50)))
    assert torch.equal(seen.logits(), resized.predict_logits(image()))
    with pytest.raises(UsageError, match="`working_size` must be"):
        observe(model, image(), working_size=(0, 50))


# ---- gradients and dropout, in tiles and views -------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"tile_size": (16, 24)}, {"tile_size": (16, 24), "tile_batch": 3}, {"flip": True}]
)
def test_odin_in_tiles_and_views_equals_the_whole_image_where_pixels_are_alone(options: Any) -> None:
    score = ODIN(temperature=10, epsilon=0.01)
    whole = score.of(observe(counted(stride=1, kernel=1), image(), scores=[score]))
    seen = observe(counted(stride=1, kernel=1, **options), image(), scores=[score])
    torch.testing.assert_close(score.of(seen), whole)
    assert seen.num_forwards == 2
    assert not torch.allclose(whole, ODIN(temperature=10, epsilon=0)(logits=seen.logits()[None])[0])


def test_a_tile_as_large_as_the_image_is_the_image() -> None:
    seen = observe(counted(tile_size=(33, 60)), image(), scores=[Mahalanobis()])
    assert seen.features().shape == (8, 17, 25)


def test_dropout_in_tiles() -> None:
    model = counted(tile_size=(16, 24), overlap=0.5)
    first, again = (MCDropout(passes=3).of(observe(model, image())) for _ in range(2))
    assert first.shape == (33, 49)
    assert torch.equal(first, again)
    one, two = observe(model, image()).dropout_logits(2, seed=0)
    assert not torch.equal(one, two)


def test_activation_checkpointing_gives_the_same_score() -> None:
    torch.manual_seed(0)
    model = load_model("deeplabv3plus_wrn38", width=4, num_classes=5).train()
    score = ODIN(epsilon=0.01)
    expected = score.of(observe(model, image(), scores=[score]))
    model.network.activation_checkpointing = True  # type: ignore[assignment]
    torch.testing.assert_close(score.of(observe(model, image(), scores=[score])), expected)


def test_objectives_of_the_callers_own() -> None:
    seen = observe(counted(), image())
    logits = seen.perturbed_logits(lambda z: z[:, 2].sum(), 0.05)
    assert logits[2].mean() > seen.logits()[2].mean()
    assert torch.equal(seen.perturbed_logits(LogMaxSoftmax(1.0), 0), seen.logits())
    with pytest.raises(UsageError, match=r"Counted gives no gradient .*use a score that needs none"):
        seen.perturbed_logits(lambda z: torch.zeros((), requires_grad=True), 0.1)


# ---- features ----------------------------------------------------------------------------------------------


def test_features_by_hand() -> None:
    model = counted(preprocessing=Preprocessing(mean=(0, 0, 0), std=(1, 1, 1))).eval()
    network = model.network
    x = torch.from_numpy(image()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = network.body(x)[0]  # type: ignore[operator]
        before = network.body[0](x)[0]  # type: ignore[index]
        normalised = network.body[:2](x)[0]  # type: ignore[index]
    seen = observe(model, image())
    for layer in (None, "head:input", "body", "body.2"):
        torch.testing.assert_close(seen.features(layer), expected)
    torch.testing.assert_close(seen.features("body.0"), before)
    # the activation works in place, on what the norm gave
    torch.testing.assert_close(seen.features("body.1"), normalised)
    assert float(seen.features("body.1").min()) < 0 <= float(seen.features("body.2").min())
    assert seen.features().dtype == torch.float32
    half = observe(counted(precision="bfloat16"), image())
    assert half.features().dtype == torch.float32
    assert num_hooks(model) == 0


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if not c.gives_masks and n != "user"])
def test_every_network_has_a_default_layer(name: str) -> None:
    torch.manual_seed(0)
    model = ModelConfig(num_classes=CLASSES, **CASES[name].config).load()
    model.predict_logits(image(65, 97))
    hooks = num_hooks(model)  # Transformers' own
    layer = default_layer(model)
    assert model.feature_layer == layer
    seen = observe(model, image(65, 97), scores=[Mahalanobis()])
    features = seen.features()
    assert seen.num_forwards == 1
    assert features.ndim == 3
    assert bool(torch.isfinite(features).all())
    assert num_hooks(model) == hooks
    last = {"espnetv2": None, "deeplabv3plus_wrn38": "final.6"}.get(name, layer.removesuffix(":input"))
    if last is not None:  # the classifier makes logits of the features
        classifier = model.network.get_submodule(last)
        assert torch.equal(seen.features(layer), features)
        if model.preprocessing.size_multiple == 1:
            with torch.no_grad():
                torch.testing.assert_close(classifier(features[None])[0], seen.features(last))
    else:
        assert (layer, features.shape) == ("bu_br_l4", (32, 33, 49))


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.gives_masks])
def test_networks_of_masks_ask_for_a_layer(name: str) -> None:
    torch.manual_seed(0)
    model = ModelConfig(num_classes=CLASSES, **CASES[name].config).load()
    with pytest.raises(UsageError, match=r"network transformers .*it classifies masks.*layer=NAME"):
        observe(model, image(64, 96), scores=[Mahalanobis()])
    convolution = [n for n, m in model.network.named_modules() if isinstance(m, nn.Conv2d)][-1]
    assert observe(model, image(64, 96)).features(convolution).ndim == 3


def test_auxiliary_heads_are_passed_over() -> None:
    class Auxiliary(Counted):
        def forward(self, images: Tensor) -> Any:
            features = self.body(images)
            return {"out": self.head(features), "aux": self.aux(images)}

    network = Auxiliary()
    network.aux = nn.Conv2d(3, 4, 1)
    model = SegmentationModel(network, num_classes=4)
    assert default_layer(model) == "head:input"
    model.feature_layer = "body.0"  # the user's word counts
    assert default_layer(model) == "body.0"


def test_padding_is_cut() -> None:
    # a network of stride 1 that only takes multiples of 16: 33×49 becomes 48×64
    padded = counted(stride=1, preprocessing=Preprocessing(size_multiple=16))
    plain = observe(counted(stride=1), image()).features("body.0")
    found = observe(padded, image()).features("body.0")
    assert padded.network.sizes == [(1, 3, 48, 64)]
    torch.testing.assert_close(found[:, :-1, :-1], plain[:, :-1, :-1])
    assert found.shape == plain.shape


def test_cells_at_the_edge_by_hand() -> None:
    # 8 rows of the padded image are 4 cells; the image has 5 rows, which 3 cells touch, now 5/3 rows each:
    # their centres at 5/6, 5/2, 25/6 rows, which is at 5/12, 5/4, 25/12 cells
    features = torch.arange(4.0).reshape(1, 4, 1)  # value 0 at 1/2 cell, 1 at 3/2
    found = cut_feature_padding(features, (8, 2), (5, 2)).flatten()
    np.testing.assert_allclose(found, [0, 5 / 4 - 1 / 2, 25 / 12 - 1 / 2], rtol=1e-6)
    assert torch.equal(cut_feature_padding(features, (8, 2), (4, 2)), features[:, :2])
    assert torch.equal(cut_feature_padding(features, (8, 2), (8, 2)), features)


def test_fit_and_score_through_observations() -> None:
    model = counted()
    target = np.random.default_rng(1).integers(0, 3, (33, 49), dtype=np.uint8)
    for name in ("mahalanobis", "standardized_max_logit"):
        score = get_score(name)
        assert score.fit((observe(model, image(), scores=[score]), target) for _ in range(2)) is score
        found = score.of(observe(model, image(), (40, 60), scores=[score]))
        assert found.shape == (40, 60)
        assert found.dtype == torch.float32
        assert bool(torch.isfinite(found.half()).all())
        assert len(score.state_dict()["count"]) == 4
        with pytest.raises(UsageError, match=f"score '{name}' must be fitted before use"):
            get_score(name).of(observe(model, image()))
    assert get_score("mahalanobis").fit([(observe(model, image()), target)]).unseen_classes == (3,)
    with pytest.raises(UsageError, match=r"must hold train ids 0\.\.3.*got 7"):
        get_score("mahalanobis").fit([(observe(model, image()), target + 5)])


# ---- what cannot be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"tile_size": (16, 24)}, {"flip": True}, {"scales": (0.5, 1.0)}])
def test_features_need_the_whole_image(options: dict[str, Any]) -> None:
    model = counted(**options)
    reason = r"features need the whole image in one forward, .*model\.inference = Inference\(\)"
    with pytest.raises(UsageError, match=reason):
        observe(model, image(), scores=[Mahalanobis()])
    with pytest.raises(UsageError, match=reason):
        observe(model, image()).features("body.0")
    assert model.network.sizes == []


def test_layers_that_cannot_be() -> None:
    class Odd(Counted):
        def forward(self, images: Tensor) -> Tensor:
            self.pair(images)
            return super().forward(images)

    network = Odd()
    network.pair = nn.Flatten()
    network.unused = nn.Conv2d(1, 1, 1)
    model = SegmentationModel(network, num_classes=4)
    seen = observe(model, image())
    with pytest.raises(UsageError, match=r"must name a module of network Odd .*got 'body\.9'; near are body"):
        seen.features("body.9")
    with pytest.raises(UsageError, match="must name a module of network Odd"):
        observe(model, image(), scores=[Mahalanobis(layer="hed:input")]).logits()
    with pytest.raises(UsageError, match=r"layer 'pair' gives \(1, 4851\), torch.float32; choose another"):
        seen.features("pair")
    with pytest.raises(UsageError, match="layer 'unused' is not run in the network's forward"):
        seen.features("unused")
    assert num_hooks(model) == 0
    assert seen.features().shape == (8, 17, 25)  # an error leaves nothing behind
    no_head = SegmentationModel(nn.Conv2d(3, 8, 1), num_classes=8)
    assert observe(no_head, image()).features().shape == (3, 33, 49)
    with pytest.raises(UsageError, match=r"Upsample has no convolution that .*none gives 3 channels.*layer="):
        observe(SegmentationModel(nn.Upsample(scale_factor=1), num_classes=3), image()).features()


def test_onnx_files_give_logits_only(tmp_path: Path) -> None:
    model = load_model(write(tmp_path / "net.onnx"), num_classes=4)
    assert torch.equal(observe(model, image()).logits(), model.predict_logits(image()))
    for score, reason in (
        (ODIN(), r"'odin' needs gradients, which network net\.onnx does not give; .*epsilon=0"),
        (Mahalanobis(), r"'mahalanobis' needs features, which network net\.onnx does not give"),
        (MCDropout(), r"'mc_dropout' needs dropout, and network net\.onnx has no dropout"),
    ):
        with pytest.raises(UsageError, match=reason):
            observe(model, image(), scores=[score])
    seen = observe(model, image())
    with pytest.raises(UsageError, match=r"net\.onnx gives no gradient of its logits .*epsilon=0"):
        ODIN().of(seen)
    with pytest.raises(UsageError, match=r"net\.onnx gives no features; use its PyTorch network"):
        seen.features()
    assert ODIN(epsilon=0).of(observe(model, image(), scores=[ODIN(epsilon=0)])).shape == (33, 49)


def test_bad_images() -> None:
    with pytest.raises(UsageError, match=r"`image` must be a uint8 array of shape \(H,W,3\)"):
        observe(counted(), np.zeros((4, 4, 3)))
