"""Epoch plans: fresh proxies, no repeats before the deck is through, a pure function of the epoch."""

from __future__ import annotations

from collections import Counter

import pytest

from segood.errors import UsageError
from segood.training import EpochSampler, draw_proxies, plan_epoch


def test_paper_ratio() -> None:
    items = plan_epoch(2975, 46751, ratio=0.1, mode="images", seed=0, epoch=0)
    kinds = Counter(item.kind for item in items)
    assert kinds == {"street": 2975, "proxy": 298}  # the paper rounds 297.5 down
    assert sorted(i.sample for i in items if i.kind == "street") == list(range(2975))


def test_decks_are_dealt_to_the_end_before_they_are_shuffled_anew() -> None:
    drawn = [i for epoch in range(9) for i in draw_proxies(10, 4, seed=3, epoch=epoch)]
    decks = [drawn[k : k + 10] for k in range(0, 30, 10)]
    assert all(sorted(deck) == list(range(10)) for deck in decks)
    assert decks[0] != decks[1]


def test_more_draws_than_proxies() -> None:
    counts = Counter(draw_proxies(3, 7, seed=0, epoch=0))
    assert sorted(counts.values()) == [2, 2, 3]


def test_epochs_differ_but_are_reproducible() -> None:
    settings = {"ratio": 0.5, "mode": "images", "seed": 1}
    first, again, second = (plan_epoch(20, 30, epoch=e, **settings) for e in (0, 0, 1))  # type: ignore[arg-type]
    assert first == again
    assert first != second
    assert {i.sample for i in first if i.kind == "proxy"}.isdisjoint(
        i.sample for i in second if i.kind == "proxy"
    )
    assert len({item.seed for item in first}) == len(first)


def test_paste_puts_every_drawn_proxy_into_a_street_image() -> None:
    items = plan_epoch(10, 50, ratio=0.5, mode="paste", seed=0, epoch=0)
    assert {item.kind for item in items} == {"street"}
    assert sorted(len(item.pasted) for item in items) == [0] * 5 + [1] * 5
    crowded = plan_epoch(4, 50, ratio=2.0, mode="paste", seed=0, epoch=0)
    assert [len(item.pasted) for item in crowded] == [2] * 4


def test_without_proxies_an_epoch_is_the_street_images() -> None:
    items = plan_epoch(6, 0, ratio=0.1, mode="images", seed=0, epoch=0)
    assert sorted(i.sample for i in items) == list(range(6))


@pytest.mark.parametrize("mode", ["images", "paste"])
def test_sampler_has_the_length_it_yields(mode: str) -> None:
    sampler = EpochSampler(11, 5, ratio=0.3, mode=mode, seed=0)  # type: ignore[arg-type]
    first = list(sampler)
    assert len(first) == len(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_empty_proxy_set() -> None:
    with pytest.raises(UsageError, match="proxy set is empty"):
        draw_proxies(0, 1, seed=0, epoch=0)
