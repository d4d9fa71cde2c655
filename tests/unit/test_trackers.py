"""Trackers of accelerate: told the training curve, as it is."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event
from tests.families import build
from tests.unit.test_training import rows

from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.training import causal
from selfgen.training.spec import Optimization, TrainSpec
from selfgen.training.trackers import Trackers

SPEC = TrainSpec(
    seed=0, optimization=Optimization(learning_rate=1e-2), device=Device("cpu", "fp32")
)


def told(folder: Path) -> dict[int, dict[str, float]]:
    """What the files of TensorBoard hold, by step: a length, its checksum, an event, its
    checksum, and so on."""
    points: dict[int, dict[str, float]] = {}
    for path in folder.rglob("events.*"):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                if value.tag.startswith("train/"):
                    points.setdefault(event.step, {})[value.tag] = value.simple_value
    return points


def fit(**more: Any) -> causal.Outcome:
    return causal.train(build("llama"), rows(), SPEC, **more)[1]


def test_tensorboard_is_told_the_curve(tmp_path: Path) -> None:
    trackers = Trackers(("tensorboard",), "finetune a/b/0", tmp_path)
    outcome = fit(trackers=trackers)
    found = told(tmp_path / "finetune" / "a" / "b" / "0")
    assert len(found) == len(outcome.curve) > 1
    for point in outcome.curve:
        step = int(point.pop("step"))
        expected = {f"train/{key}": value for key, value in point.items()}
        assert found[step] == pytest.approx(expected, rel=1e-5)


def test_without_trackers_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["wandb", "tensor-board"])
def test_a_tracker_that_is_not_installed(name: str) -> None:
    with pytest.raises(
        UserError, match=rf"report_to: found '{name}', allowed: what is"
    ):
        fit(trackers=Trackers((name,)))
