"""Wrong matches, damaged, foreign and malicious encoders: one line each."""

import json
import os

import pytest

import mmix_jax as mm
from mmix_jax.pretrained.__main__ import main
from mmix_jax.results import RESULTS_FILE
from tests.main.program import run
from tests.pretrained.tiny import NAME, truncate, weights

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--checkpoint=pretrained:cora",), "unknown pretrained checkpoint 'cora'"),
        (("--checkpoint=pretrained:../models",), "unknown pretrained checkpoint"),
        (("--checkpoint=pretrained:",), "unknown pretrained checkpoint"),
        (
            ("--config=digits_graph:smoke+none", f"--checkpoint=pretrained:{NAME}"),
            "mixing ('mo' there, 'none' asked), width (8 there, ",
        ),
        (
            ("--config=digits_graph:smoke+grace+mo", f"--checkpoint=pretrained:{NAME}"),
            "framework ('mvgrl' there, 'grace' asked)",
        ),
        ((f"--checkpoint=pretrained:{NAME}", "--config.widht=3"), "widht"),
        (("--checkpoint=nowhere",), "no checkpoint: nowhere is not there, or no folder"),
        (("--checkpoint=file",), "no checkpoint: file is not there, or no folder"),
        (("--checkpoint=empty",), "must tell its settings, found no config.json at empty"),
        (("--checkpoint=sub/sub/empty",), "found no config.json at sub/sub/empty"),
        (("--checkpoint=",), "must name a checkpoint, found 'nothing'"),
        (("--checkpoint=odd",), "must be that of a model, found task []"),
        (("--checkpoint=fields",), "must have fields of a node task, found 'a.b' in fields"),
    ],
)
def test_a_wrong_match_is_one_line(flags, told, around, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "sub" / "sub" / "empty").mkdir(parents=True)
    for folder, told_there in {"odd": {"task": []}, "fields": {"task": "node", "a.b": 1}}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps(told_there))
    (tmp_path / "sub" / "config.json").write_text("{}")  # a stranger's, two folders up
    ran = run("--mode=eval", *flags, f"--workdir={tmp_path / 'w'}")
    assert ran.status == 2
    (line,) = ran.told
    assert line.startswith("error: ")
    assert told in line
    assert not (tmp_path / "w" / RESULTS_FILE).exists()


def _flip(folder):
    path = weights(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _change(folder, **fields):
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), "utf-8")


def _elsewhere(folder):
    (folder / "card.json").rename(folder.parents[1] / "card.json")
    (folder / "card.json").symlink_to(folder.parents[1] / "card.json")


def _without(folder):
    path = folder / "card.json"
    told = json.loads(path.read_text("utf-8"))
    del told["licence"]
    path.write_text(json.dumps(told), "utf-8")


DAMAGES = {
    "a flipped bit": (_flip, "damaged in"),
    "a truncated file": (truncate, "damaged in"),
    "a missing file": (lambda f: weights(f).unlink(), "missing in"),
    "a file left over": (lambda f: (f / "run_me.py").write_text("1/0"), "run_me.py left over"),
    "other settings": (
        lambda f: (f / "config.json").write_text('{"task": "node"}'),
        "config.json damaged",
    ),
    "no JSON": (lambda f: (f / "card.json").write_text("{"), "a card must be a file of JSON"),
    "deep JSON": (
        lambda f: (f / "card.json").write_text("[" * 100_000),
        "a card must be a file of JSON",
    ),
    "bytes": (lambda f: (f / "card.json").write_bytes(b"\xff"), "a card must be a file of JSON"),
    "no card": (lambda f: (f / "card.json").unlink(), "a card must be a file of JSON"),
    "a huge card": (
        lambda f: (f / "card.json").write_bytes(b" " * 2**23),
        "a card must be a file of JSON",
    ),
    "a card elsewhere": (_elsewhere, "a card must be a file of JSON"),
    "no number": (lambda f: _change(f, as_trained={"a": float("nan")}), "must be a file of JSON"),
    "no headline": (lambda f: _change(f, representation="zzz"), "the scores of its headline"),
    "a terminal's code": (lambda f: _change(f, about="\x1b[2J"), "must tell about"),
    "a link to a step elsewhere": (
        lambda f: (f / "checkpoints" / "seed_0" / "9999").symlink_to("/"),
        "must have plain files, found checkpoints/seed_0/9999",
    ),
    "a pipe": (lambda f: os.mkfifo(f / "pipe"), "must have plain files, found pipe"),
    "an empty folder": (lambda f: (f / "x").mkdir(), "found x left over"),
    "a card within": (
        lambda f: (f / "checkpoints" / "card.json").write_text("{}"),
        "found checkpoints/card.json left over",
    ),
    "a list": (lambda f: (f / "card.json").write_text("[]"), "must tell name, found none"),
    "another's card": (lambda f: _change(f, name="other"), "must be of its folder"),
    "a field of another type": (lambda f: _change(f, seed="0"), "must tell seed, found another"),
    "a missing field": (_without, "must tell licence, found none"),
    "a result that is none": (lambda f: _change(f, here=[{"task": "node"}]), "must tell results"),
    "digests of nothing": (lambda f: _change(f, files={}), "left over in"),
    "a digest that is no text": (lambda f: _change(f, files={"a": 1}), "must tell files"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_line(damage, around, capsys):
    do, told = DAMAGES[damage]
    do(around)
    ran = run("--mode=eval", f"--checkpoint=pretrained:{NAME}", "--workdir=w")
    assert ran.status == 2
    (line,) = ran.told
    assert line.startswith("error: ")
    assert told in line
    with pytest.raises(mm.InputError, match="install the package anew"):
        mm.load_pretrained(NAME)
    assert main(["", NAME]) == 2
    assert capsys.readouterr().err.count("\n") == 1
