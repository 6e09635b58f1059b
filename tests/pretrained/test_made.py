"""An encoder as the package's own are made: read, evaluated, damaged and made anew."""

import dataclasses
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mmix_jax as mm
from mmix_jax import pretrained
from mmix_jax.estimators import NodeEmbedder
from mmix_jax.export import export
from mmix_jax.interop.safetensors_files import read_safetensors
from mmix_jax.plans.runs import Setting, found, write_record
from mmix_jax.pretrained import making
from mmix_jax.pretrained.__main__ import main
from mmix_jax.pretrained.cards import headline_rows, read_card
from mmix_jax.results import RESULTS_FILE, read_results, write_results
from tests.main.program import run

TINY = Setting("digits_graph", "smoke+mo", (("width", "8"), ("num_devices", "1")))
NAME = "digits_graph-tiny"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of runs and of encoders, with one of two trainings."""
    folder = tmp_path_factory.mktemp("pretrained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(making, "SHIPPED", {NAME: TINY})
        patch.setitem(making.SEEDS, "digits_graph", 2)
        making.make([NAME], folder / "models", folder / "runs", lambda: False)
    return folder


@pytest.fixture
def around(made, monkeypatch, tmp_path):
    """A copy of the encoders in the place of the package's own."""
    shutil.copytree(made / "models", tmp_path / "models")
    monkeypatch.setattr(pretrained, "MODELS", tmp_path / "models")
    monkeypatch.setattr(making, "SHIPPED", {NAME: TINY})
    monkeypatch.setitem(making.SEEDS, "digits_graph", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(made / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models" / NAME


def test_the_card_tells_of_the_run(around, made):
    card = read_card(around)
    trained = [r for r in card.of_setting if r.trained]
    assert {r.seeds for r in trained} == {(0, 1)}
    assert {r.seeds for r in card.here} == {(0,)}
    (row,) = [r for r in headline_rows(card) if r[0].startswith("accuracy")]
    assert row[4].endswith("(n = 2)")
    assert card.seed == 0
    assert card.step <= 4
    assert "--config.num_seeds=2" in card.command
    # Random-initialised encoders are not stored: theirs are the run's own scores.
    untrained = next(r for r in card.of_setting if not r.trained)
    same = [r for r in card.here if not r.trained and r.metric == untrained.metric
            and r.representation == untrained.representation]  # fmt: skip
    assert same[0].values == untrained.values[:1]


def test_numbers_are_those_of_the_training_in_half_the_bits(around, made):
    model, before = mm.load_pretrained(NAME), NodeEmbedder.load(made / "runs" / TINY.name)
    pairs = zip(*(_leaves(m.encoder_.state.params) for m in (model, before)), strict=True)
    for stored, trained in pairs:
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored, jnp.asarray(trained, jnp.bfloat16).astype(float))


def test_numbers_stay_whole_where_half_the_bits_change_an_accuracy(
    around, made, monkeypatch, capsys
):
    monkeypatch.setattr(making, "_MOST", -1.0)
    _truncate(around)
    assert _make(made, "--read") == 0
    assert read_card(around).stored_as == "float32"
    model, before = mm.load_pretrained(NAME), NodeEmbedder.load(made / "runs" / TINY.name)
    for stored, trained in zip(*(_leaves(m.encoder_.state) for m in (model, before)), strict=True):
        np.testing.assert_array_equal(stored, trained)


def test_an_export_has_its_numbers_whole(around, tmp_path):
    told = export(around, tmp_path / "x.safetensors", names="flax")
    tensors = read_safetensors((tmp_path / "x.safetensors").read_bytes())
    params = mm.load_pretrained(NAME).encoder_.state.params
    kernel = params["encoder_a"]["dense_0"]["kernel"]
    np.testing.assert_array_equal(tensors["params.encoder_a.dense_0.kernel"], kernel)
    assert {x.dtype for x in tensors.values()} == {np.dtype(np.float32)}
    assert told["mixing"] == "mo"


def _leaves(tree):
    return [np.asarray(x) for x in jax.tree.leaves(tree)]


def test_the_program_evaluates_it_to_its_card_and_embeds(around, tmp_path):
    flags = ("--mode=eval", f"--checkpoint=pretrained:{NAME}", f"--workdir={tmp_path / 'w'}")
    card = read_card(around)
    for config in ((), ("--config=digits_graph:smoke+mo", "--config.width=8")):
        ran = run(*config, *flags)
        assert (ran.status, ran.told) == (0, [])
        scores = read_results(tmp_path / "w" / RESULTS_FILE)
        assert [r.mean for r in scores] == pytest.approx([r.mean for r in card.here], abs=1e-6)
    ran = run("--mode=embed", *flags[1:])
    assert (ran.status, ran.told) == (0, [])
    z = np.load(tmp_path / "w" / "embeddings.npz")["z"]
    same = mm.load_pretrained(NAME).transform(mm.load_nodes("digits_graph"))
    np.testing.assert_allclose(z, same, atol=1e-6)


def test_without_a_workdir_it_has_one_of_its_own(around, tmp_path):
    ran = run("--mode=embed", f"--checkpoint=pretrained:{NAME}")
    assert ran.status == 0
    assert (tmp_path / "runs" / f"pretrained-{NAME}" / "embeddings.npz").is_file()


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
        (("--checkpoint=nowhere",), "must tell its settings, found no config.json at nowhere"),
    ],
)
def test_a_wrong_match_is_one_line(flags, told, around, tmp_path):
    ran = run("--mode=eval", *flags, f"--workdir={tmp_path / 'w'}")
    assert ran.status == 2
    (line,) = ran.told
    assert line.startswith("error: ")
    assert told in line
    assert not (tmp_path / "w" / RESULTS_FILE).exists()


def test_training_wants_no_checkpoint(around):
    ran = run(f"--checkpoint=pretrained:{NAME}")
    assert ran.status == 2
    assert "is what eval and embed read" in ran.told[0]


# --- Damaged, foreign, malicious ---


def _weights(folder: pathlib.Path) -> pathlib.Path:
    return max(folder.rglob("ocdbt.process_0/d/*"), key=lambda path: path.stat().st_size)


def _flip(folder):
    path = _weights(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(folder):
    path = _weights(folder)
    path.write_bytes(path.read_bytes()[:-1])


def _change(folder, **fields):
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), "utf-8")


def _without(folder):
    path = folder / "card.json"
    told = json.loads(path.read_text("utf-8"))
    del told["licence"]
    path.write_text(json.dumps(told), "utf-8")


DAMAGES = {
    "a flipped bit": (_flip, "damaged in"),
    "a truncated file": (_truncate, "damaged in"),
    "a missing file": (lambda f: _weights(f).unlink(), "missing in"),
    "a file left over": (lambda f: (f / "run_me.py").write_text("1/0"), "run_me.py left over"),
    "other settings": (
        lambda f: (f / "config.json").write_text('{"task": "node"}'),
        "config.json damaged",
    ),
    "no JSON": (lambda f: (f / "card.json").write_text("{"), "a card must be readable JSON"),
    "deep JSON": (
        lambda f: (f / "card.json").write_text("[" * 100_000),
        "a card must be readable JSON",
    ),
    "bytes": (lambda f: (f / "card.json").write_bytes(b"\xff\xfe"), "a card must be readable JSON"),
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


# --- Made anew ---


def _make(made, *flags):
    return main(["", "--make", NAME, f"--runs={made / 'runs'}", "--out=models", *flags])


def test_what_is_made_is_kept_and_what_is_damaged_made_anew(around, made, capsys):
    assert _make(made, "--read") == 0
    assert capsys.readouterr().out == f"{NAME}: kept, of the same run\n"
    _truncate(around)
    assert _make(made, "--read") == 0
    captured = capsys.readouterr()
    assert "made anew" in captured.err
    assert f"{NAME}: written" in captured.out
    anew, before = read_card(around), read_card(made / "models" / NAME)
    assert [r.values for r in anew.here] == [r.values for r in before.here]
    assert [path.name for path in around.parent.iterdir()] == [NAME]  # nothing half-written


def test_another_number_of_trainings_is_another_card(around, made, tmp_path):
    shutil.copytree(made / "runs", tmp_path / "runs")
    path = tmp_path / "runs" / TINY.name / RESULTS_FILE
    first = [
        dataclasses.replace(r, seeds=r.seeds[:1], values=r.values[:1], n=1)
        for r in read_results(path)
    ]
    write_results(path, first)
    assert main(["", "--make", NAME, "--runs=runs", "--out=models", "--read"]) == 0
    card = read_card(around)
    assert {r.seeds for r in card.of_setting} == {(0,)}
    assert "--config.num_seeds=1" in card.command


def test_what_cannot_be_made_is_said(around, made, tmp_path, capsys):
    assert main(["", "--make", NAME, "--runs=empty", "--out=models", "--read"]) == 0
    assert capsys.readouterr().out == f"{NAME}: not run\n"
    (tmp_path / "records").mkdir()
    there = found(TINY, made / "runs")
    assert there is not None
    write_record(TINY, there, tmp_path / "records")
    assert main(["", "--make", NAME, "--runs=records", "--out=models", "--read"]) == 0
    assert "a record without checkpoints" in capsys.readouterr().out
    assert read_card(around).name == NAME


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["nothing"], "unknown pretrained checkpoint 'nothing'"),
        (["--make", "nothing"], "unknown pretrained checkpoint 'nothing'"),
        (["--read"], "belong to --make"),
        (["--make", "--out=file/below"], "--out must be a folder"),
        (["--bad"], "see --help"),
    ],
)
def test_bad_input_is_one_line(flags, told, around, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert told in line


def test_the_list_has_every_one_with_its_scores(around, capsys):
    assert main([""]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[2].startswith(NAME)
    assert "1 encoders" in out
    assert main(["", NAME]) == 0
    out = capsys.readouterr().out
    for word in ("CC BY 4.0", "width 8, mo over wp", "seed 0", "bfloat16", "(n = 2)"):
        assert word in out
