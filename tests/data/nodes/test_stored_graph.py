"""A graph in files is what `make_graph` makes of the same edges, and is refused when damaged."""

import json

import numpy as np
import pytest

from mmix_jax import store_graph as program
from mmix_jax.data.nodes import stored_graph
from mmix_jax.data.nodes.graph_file import read_graph_file
from mmix_jax.data.nodes.synthetic_graph import (
    SyntheticGraph,
    load_synthetic_graph,
    open_synthetic_graph,
    store_synthetic_graph,
)
from mmix_jax.errors import InputError
from mmix_jax.graphs import Split, make_graph

N = 120


@pytest.fixture
def parts():
    """Features, ends with loops and repeats, weights."""
    draw = np.random.default_rng(0)
    senders, receivers = draw.integers(0, N - 3, (2, 900))
    return draw.normal(size=(N, 4)), senders, receivers, draw.uniform(0.5, 2.0, 900)


def pieces(senders, receivers, weight, size=99):
    for low in range(0, len(senders), size):
        part = slice(low, low + size)
        yield senders[part], receivers[part], None if weight is None else weight[part]


def same(found, expected):
    for name, values in expected._asdict().items():
        theirs = getattr(found, name)
        assert theirs.dtype == values.dtype, name
        np.testing.assert_array_equal(theirs, values, name)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_that_of_make_graph(weighted, parts, tmp_path):
    x, senders, receivers, weight = parts
    weight = weight if weighted else None
    given = Split(np.arange(30), np.arange(30, 60), np.arange(60, N))
    stored_graph.store_graph(
        tmp_path / "graph", (x[low : low + 7] for low in range(0, N, 7)),
        pieces(senders, receivers, weight), labels=np.arange(N) % 3, given=given,
    )  # fmt: skip
    dataset = read_graph_file(tmp_path / "graph")
    same(dataset.graph, make_graph(x, senders, receivers, weight))
    same(dataset.split, Split(*(np.int32(part) for part in given)))
    assert isinstance(dataset.graph.x, np.memmap) and isinstance(dataset.graph.senders, np.memmap)
    assert (dataset.name, dataset.num_classes, dataset.own) == ("graph", 3, False)
    assert not list((tmp_path / "graph").glob("*.tmp")) + list((tmp_path / "graph").glob("edges-*"))
    with pytest.raises(InputError, match="a graph is written once"):
        stored_graph.store_graph(tmp_path / "graph", [x], [])


def test_a_drawn_one_is_that_of_memory(tmp_path):
    shape = SyntheticGraph(num_nodes=400, num_features=3, num_classes=2, homophily=-0.2)
    store_synthetic_graph(shape, tmp_path / "graph")
    for options in ({}, {"split_seed": 4}, {"split": "random", "split_seed": 2}):
        found = open_synthetic_graph(shape, tmp_path / "graph", **options)
        expected = load_synthetic_graph(shape, **options)
        same(found.graph, expected.graph)
        same(found.split, expected.split)
        np.testing.assert_array_equal(found.labels, expected.labels)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"senders": [0, N]}, rf"edges must lie in \[0, {N}\), found {N}"),
        ({"senders": [-1, 0]}, "found -1"),
        ({"senders": [0.5, 1]}, "whole numbers, found float64"),
        ({"senders": [0]}, "both ends of every edge"),
        ({"weight": [1.0, 0.0]}, "positive and finite, found 0.0"),
        ({"weight": [1.0, np.nan]}, "positive and finite, found nan"),
        ({"x": np.full((N, 2), np.inf)}, "finite in float32"),
        ({"x": np.ones(N)}, r"numbers \[n, F\]"),
        ({"x": np.ones((N, 0))}, r"\[N, F\] with N"),
    ],
)
def test_bad_pieces_are_refused(change, told, tmp_path):
    good = {"x": np.ones((N, 2)), "senders": [0, 1], "receivers": [1, 2], "weight": None} | change
    edges = [None if good[k] is None else np.asarray(good[k]) for k in list(good)[1:]]
    with pytest.raises(InputError, match=told):
        stored_graph.store_graph(tmp_path / "graph", [good["x"]], [tuple(edges)])
    with pytest.raises(InputError):  # nothing that could be read
        read_graph_file(tmp_path / "graph")


def test_damaged_files_and_anothers_are_refused(parts, tmp_path):
    x, senders, receivers, _ = parts
    for name, seed in (("a", 0), ("b", 1)):
        stored_graph.store_graph(
            tmp_path / name, [x + seed], pieces(senders, (receivers + seed) % N, None)
        )
    whole = (tmp_path / "a" / "x.npy").read_bytes()
    for spoil, told in (
        (lambda path: path.write_bytes((tmp_path / "b" / "x.npy").read_bytes()), "another graph"),
        (lambda path: path.write_bytes(whole[:-4]), "damaged"),
        (lambda path: path.unlink(), "missing"),
    ):
        spoil(tmp_path / "a" / "x.npy")
        with pytest.raises(InputError, match=rf"x.npy must be as it was .*{told}"):
            read_graph_file(tmp_path / "a")
    (tmp_path / "a" / "graph.json").write_text("{}")
    with pytest.raises(InputError, match="must tell a stored graph, found it damaged"):
        read_graph_file(tmp_path / "a")


def test_a_full_disk_leaves_nothing_to_read(parts, tmp_path, monkeypatch):
    def full(path, pieces):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored_graph, "write_pieces", full)
    with pytest.raises(InputError, match="found No space left on device; free the disk"):
        stored_graph.store_graph(tmp_path / "graph", [parts[0]], [])
    assert not (tmp_path / "graph" / "graph.json").exists()


def run(capsys, *arguments) -> tuple[int, str]:
    status = program.main(["store_graph", *map(str, arguments)])
    return status, capsys.readouterr().err


@pytest.mark.parametrize("form", ["rows.npy", "columns.npy", "csv", "txt"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_program_reads_edges_of_every_form(form, weighted, parts, tmp_path, capsys):
    x, senders, receivers, weight = parts
    table = np.stack([senders, receivers, *([weight] if weighted else [])], axis=1)
    path = tmp_path / f"edges.{form.rpartition('.')[2]}"
    if form == "columns.npy" and weighted:
        pytest.skip("weights stand in rows")
    if form.endswith("npy"):
        np.save(path, table.T if form.startswith("columns") else table)
    else:
        sign = "," if form == "csv" else "\t"
        rows = [sign.join([str(int(r[0])), str(int(r[1])), *map(repr, map(float, r[2:]))])
                for r in table]  # fmt: skip
        path.write_text("# from to\n" + "\n".join(rows) + "\n")
    np.save(tmp_path / "x0.npy", x[:50])
    np.save(tmp_path / "x1.npy", x[50:])
    flags = [f"--x={tmp_path / 'x0.npy'}", f"--x={tmp_path / 'x1.npy'}"] + ["--weighted"] * weighted
    assert run(capsys, path, *flags, f"--out={tmp_path / 'out'}") == (0, "")
    found = read_graph_file(tmp_path / "out").graph
    same(found, make_graph(x, senders, receivers, weight if weighted else None))


def test_the_program_standardises_by_all_parts(parts, tmp_path, capsys):
    x = parts[0] * [1, 10, 100, 0] + [0, 5, -3, 7]
    np.save(tmp_path / "e.npy", np.array([[0, 1], [1, 2]]))
    for place, part in enumerate((x[:30], x[30:31], x[31:])):
        np.save(tmp_path / f"x{place}.npy", part)
    flags = [f"--x={tmp_path / f'x{place}.npy'}" for place in range(3)]
    status, _ = run(capsys, tmp_path / "e.npy", *flags, "--standardise", f"--out={tmp_path / 'o'}")
    assert status == 0
    std = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    found = read_graph_file(tmp_path / "o").graph.x
    np.testing.assert_allclose(found, (x - x.mean(axis=0)) / std, atol=1e-6)


def test_the_program_refuses_in_one_line(parts, tmp_path, capsys):
    np.save(tmp_path / "x.npy", parts[0])
    np.save(tmp_path / "e.npy", np.ones((5, 3)))
    (tmp_path / "e.csv").write_text("a,b\n1,2\n")
    x, out = f"--x={tmp_path / 'x.npy'}", f"--out={tmp_path / 'o'}"
    for arguments, told in (
        ([tmp_path / "e.npy", x, out], "[2, E] or [E, 2], without --weighted, found [5, 3]"),
        ([tmp_path / "e.csv", x, out], "mark a heading by #"),
        ([tmp_path / "e.parquet", x, out], "must be .npy, .csv, .tsv or .txt files"),
        ([tmp_path / "gone.npy", x, out], "edges must be a .npy file of numbers"),
        ([tmp_path / "e.npy", x, out, f"--train={tmp_path / 'x.npy'}"], "found no --valid"),
    ):
        status, error = run(capsys, *arguments)
        assert status == 2 and error.startswith("error: ") and told in error, error
        assert error.count("\n") == 1
    assert not (tmp_path / "o" / "graph.json").exists()


def test_what_lies_there_is_not_overwritten_and_nothing_is_left_of_a_failure(tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    np.save(mine / "x.npy", np.ones((5, 2)))
    np.save(mine / "e.npy", np.array([[0, 1], [1, 9]]))
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    x = f"--x={mine / 'x.npy'}"
    status, error = run(capsys, mine / "e.npy", x, f"--out={mine}")
    assert status == 2 and "folder must be new or empty, found e.npy" in error
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
    out = tmp_path / "out"
    status, error = run(capsys, mine / "e.npy", x, f"--out={out}")  # an edge to no node
    assert status == 2 and list(out.iterdir()) == []
    (out / ".unfinished").touch()  # as a killed call leaves it
    (out / "edges-x").mkdir()
    np.save(mine / "e.npy", np.array([[0, 1], [1, 4]]))
    assert run(capsys, mine / "e.npy", x, f"--out={out}") == (0, "")
    assert sorted(path.name for path in out.iterdir())[0] == "graph.json"


@pytest.mark.parametrize(
    ("flag", "values", "told"),
    [
        ("labels", np.arange(3), "labels"),
        ("train", np.array([0.5, 1.0]), "--train must be numbers of nodes, or a mask"),
        ("train", np.array([0, 99]), "99"),
        ("x", np.ones((5, 3)), "pieces of one array must be alike"),
    ],
)
def test_what_training_would_refuse_is_not_stored(flag, values, told, tmp_path, capsys):
    files = {
        "x": np.ones((5, 2)),
        "train": [0],
        "valid": [1],
        "test": [2],
        "labels": np.arange(5) % 2,
    }
    flags = []
    for name, array in [*files.items(), (flag, values)]:
        if name == flag != "x" and array is not values:
            continue
        path = tmp_path / f"{name}-{array is values}.npy"
        np.save(path, array)
        flags.append(f"--{name}={path}")
    np.save(tmp_path / "e.npy", np.array([[0, 1], [1, 4]]))
    status, error = run(capsys, tmp_path / "e.npy", *flags, f"--out={tmp_path / 'out'}")
    assert status == 2 and told in error and error.count("\n") == 1, error
    status, error = run(
        capsys, tmp_path / "e.npy", *flags, "--standardise", f"--out={tmp_path / 'o'}"
    )
    assert status == 2 and error.startswith("error: ") and error.count("\n") == 1


def test_a_large_graph_comes_with_its_split(parts, tmp_path, monkeypatch):
    x, senders, receivers, _ = parts
    edges = list(pieces(senders, receivers, None))
    stored_graph.store_graph(tmp_path / "graph", [x], edges, labels=np.arange(N) % 2)
    monkeypatch.setattr(stored_graph, "_MOST_UNSPLIT", N - 1)
    with pytest.raises(InputError, match="must come with its split, found 120 in"):
        read_graph_file(tmp_path / "graph")


def test_the_record_tells_what_there_is(parts, tmp_path):
    x, senders, receivers, _ = parts
    stored_graph.store_graph(tmp_path / "graph", [x], pieces(senders, receivers, None), name="mine")
    record = json.loads((tmp_path / "graph" / "graph.json").read_text())
    assert (record["name"], record["num_nodes"], record["num_features"]) == ("mine", N, 4)
    assert record["num_edges"] == make_graph(x, senders, receivers).num_edges
