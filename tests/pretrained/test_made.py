"""An encoder as the package's own are made: read, evaluated, damaged and made anew."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mmix_jax as mm
from mmix_jax.estimators import NodeEmbedder
from mmix_jax.export import export
from mmix_jax.interop.safetensors_files import read_safetensors
from mmix_jax.plans.runs import found, write_record
from mmix_jax.pretrained import making
from mmix_jax.pretrained.__main__ import main
from mmix_jax.pretrained.cards import changed_by_storing, headline_rows, read_card
from mmix_jax.results import RESULTS_FILE, read_results, write_results
from tests.main.program import run
from tests.pretrained.tiny import NAME, TINY, truncate

pytestmark = pytest.mark.slow


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
    truncate(around)
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


def test_results_of_trainings_are_not_replaced(around, made, tmp_path):
    shutil.copytree(made / "runs" / TINY.name, tmp_path / "w")
    before = (tmp_path / "w" / RESULTS_FILE).read_text()
    ran = run("--mode=eval", f"--checkpoint=pretrained:{NAME}", f"--workdir={tmp_path / 'w'}")
    assert ran.status == 2
    assert "want a workdir of their own, found the trainings of" in ran.told[0]
    assert (tmp_path / "w" / RESULTS_FILE).read_text() == before


def test_a_seeds_checkpoints_are_of_that_seed(made, tmp_path):
    """Also its encoder before training; --config may be left out, as the workdir tells it."""
    workdir = made / "runs" / TINY.name
    flags = (f"--checkpoint={workdir / 'checkpoints' / 'seed_1'}", f"--workdir={tmp_path / 'w'}")
    ran = run("--mode=eval", *flags)
    assert (ran.status, ran.told) == (0, [])
    scores = read_results(tmp_path / "w" / RESULTS_FILE)
    of_run = read_results(workdir / RESULTS_FILE)
    assert {r.seeds for r in scores} == {(1,)}
    assert [r.values[0] for r in scores] == pytest.approx([r.values[1] for r in of_run])


def test_a_model_of_ones_own_wants_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ring = np.arange(8)
    graph = mm.make_graph(np.eye(8, dtype=np.float32), ring, (ring + 1) % 8)
    model = mm.NodeEmbedder(width=8, num_steps=1).fit(graph)
    model.save("own")
    np.savez("graph.npz", x=np.eye(8, dtype=np.float32), edge_index=[ring, (ring + 1) % 8])
    ran = run("--mode=embed", "--checkpoint=own")
    assert ran.status == 2
    assert "data_path" in ran.told[0]
    ran = run("--mode=embed", "--checkpoint=own", "--config.data_path=graph.npz")
    assert (ran.status, ran.told) == (0, [])
    z = np.load("runs/checkpoint-own/embeddings.npz")["z"]
    assert z.shape == (8, 8)
    assert np.isfinite(z).all()


def test_training_wants_no_checkpoint(around):
    ran = run(f"--checkpoint=pretrained:{NAME}")
    assert ran.status == 2
    assert "is what eval and embed read" in ran.told[0]


def _make(made, *flags):
    return main(["", "--make", NAME, f"--runs={made / 'runs'}", "--out=models", *flags])


def test_what_is_made_is_kept_and_what_is_damaged_made_anew(around, made, capsys):
    assert _make(made, "--read") == 0
    assert capsys.readouterr().out == f"{NAME}: kept, of the same run\n"
    truncate(around)
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
    assert "a record without its workdir" in capsys.readouterr().out
    assert read_card(around).name == NAME


@pytest.mark.parametrize("there", ["workdir", "file", "link"])
def test_what_else_lies_there_stays(there, around, made, tmp_path, capsys):
    place = tmp_path / "out" / NAME
    place.parent.mkdir()
    if there == "workdir":
        shutil.copytree(made / "runs" / TINY.name, place)
    elif there == "file":
        place.write_text("mine")
    else:
        place.symlink_to(around)
    assert main(["", "--make", NAME, f"--runs={made / 'runs'}", "--out=out", "--read"]) == 2
    assert "found something else at" in capsys.readouterr().err
    assert place.is_symlink() == (there == "link")
    assert place.read_text() == "mine" if there == "file" else (place / "config.json").is_file()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("RESOURCE")])
def test_a_full_disk_is_one_line_and_what_was_there_stays(error, around, made, monkeypatch, capsys):
    def full(*_):
        raise error

    truncate(around)
    monkeypatch.setattr(making, "card_text", full)
    assert _make(made, "--read") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: an encoder must be writable at")
    assert [path.name for path in around.parent.iterdir()] == [NAME]


def test_nothing_tells_where_it_was_written(made):
    for path in (made / "models").rglob("*"):
        if path.is_file() and path.stat().st_size < 10_000:
            assert str(made).encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["nothing"], "unknown pretrained checkpoint 'nothing'"),
        (["--make", "nothing"], "unknown pretrained checkpoint 'nothing'"),
        (["--read"], "belong to --make"),
        (["--runs=x"], "belong to --make"),
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


def test_a_folder_without_encoders_is_told(around, capsys):
    shutil.rmtree(around.parent)
    assert main([""]) == 2
    assert "must be readable, found" in capsys.readouterr().err
    around.parent.mkdir()
    assert main([""]) == 2
    assert "found none; install the package anew" in capsys.readouterr().err


def test_cells_of_the_list_are_the_scores(around):
    card = read_card(around)
    (row,) = [r for r in headline_rows(card) if r[0].startswith("accuracy")]
    one = [r for r in card.here if (r.metric, r.representation) == ("accuracy", "mean")]
    trained, untrained = (next(r for r in one if r.trained == t) for t in (True, False))
    assert row[1] == f"{100 * trained.mean:.2f}"
    assert row[2] == f"{100 * card.as_trained[row[0]]:.2f}"
    assert row[3] == f"{100 * untrained.mean:.2f}"
    other = dataclasses.replace(card, as_trained={row[0]: trained.mean + 0.25, "nmi, k-means": 9.0})
    assert changed_by_storing(other) == pytest.approx(0.25)


def test_the_list_has_every_one_with_its_scores(around, capsys):
    assert main([""]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[2].startswith(NAME)
    assert "1 encoders" in out
    assert main(["", NAME]) == 0
    out = capsys.readouterr().out
    for word in ("CC BY 4.0", "width 8, mo over wp", "seed 0", "bfloat16", "(n = 2)"):
        assert word in out
