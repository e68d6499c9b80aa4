"""Help answers at once, bad usage is one line with exit code 2."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segood.cli import VERBS
from segood.cli.frame import COMPARISONS, explain, shipped_configs

Fails = Callable[..., str]


def test_help_is_fast_and_imports_no_torch() -> None:
    code = (
        "import sys; from segood.cli import main; status = main(['--help']); "
        "assert status == 0; assert 'torch' not in sys.modules; assert 'numpy' not in sys.modules"
    )

    def spent() -> float:
        """Return the processor's seconds of all children so far: a machine may be busy."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    times = []
    for _ in range(5):
        start = spent()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(spent() - start)
    assert 0 < sorted(times)[2] < 0.5


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example_and_no_torch(verb: str) -> None:
    code = (
        "import sys; from segood.cli import main\n"
        f"try: main([{verb!r}, '--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"example:\n  segood {verb}" in done.stdout


def test_version(segood: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert segood("--version").stdout.startswith("segood 0.")


def test_usage_errors(fails: Fails, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("street: {name: camvid, root: x}\nlos: {ood_weight: 0.3}\n")
    assert "did you mean 'train'?" in fails("trian", code=2)
    assert "unknown key 'los' in 'los.ood_weight' (did you mean 'loss'?)" in fails(
        "train", "--config", config, "--out", tmp_path / "o", code=2
    )
    assert "(did you mean 'espnetv2_camvid_coco'?)" in fails("train", "--config", "espnetv2_camvid", code=2)
    camvid = ("train", "--config", "espnetv2_camvid_coco", "--out", tmp_path / "o")
    assert "`loss.ood_weight` must lie in [0, 1]; got 1.5" in fails(
        *camvid, "--loss.ood_weight", "1.5", code=2
    )
    assert "`threshold` must lie in [0, 1]; got 7" in fails(*camvid, "--evaluation.threshold", "7", code=2)
    assert "`optimizer.lr` must be of type float; got fast" in fails(
        *camvid, "--optimizer.lr", "fast", code=2
    )
    assert "did you mean 'epochs'?" in fails(*camvid, "--epoch", "3", code=2)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_shipped_configurations_are_valid(
    name: str, segood: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    verb, key = ("compare", "working_size") if name.startswith(COMPARISONS) else ("train", "ood_weight")
    done = segood(verb, "--config", name, "--print_config")
    assert done.returncode == 0, done.stderr
    assert key in done.stdout


@pytest.mark.parametrize(("verb", "begins"), [("train", ""), ("compare", COMPARISONS), ("evaluate", None)])
def test_a_verb_names_the_configurations_that_suit_it(
    verb: str, begins: str | None, segood: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    said = segood(verb, "--help").stdout
    compares = begins == COMPARISONS
    suited = {name for name in shipped_configs() if name.startswith(COMPARISONS) == compares}
    assert {name for name in shipped_configs() if name in said} == (set() if begins is None else suited)


def test_debug_shows_the_traceback(segood: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = segood("report", "nowhere", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            "unrecognized arguments: --optimzer.lr 3",
            "unknown key 'optimzer' in 'optimzer.lr' (did you mean 'optimizer'?)",
        ),
        ("Group 'street' does not accept option 'rot'", "unknown key 'rot' (did you mean 'root'?)"),
        ("unrecognized arguments: --xyz", "unknown key 'xyz'; --help lists the valid ones"),
        ("something\n  else", "something else"),
        (
            'Parser key "proxies":\n  Does not validate against any of the Union subtypes\n  Given value: 3',
            "`proxies` is incomplete or of the wrong type; see --proxies.help for its parts",
        ),
    ],
)
def test_explain(message: str, line: str) -> None:
    assert explain(message, {"optimizer", "lr", "street", "root"}) == line
