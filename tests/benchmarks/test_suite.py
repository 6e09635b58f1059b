"""The benchmark suite through its command line, on tiny sizes, and the tables it fills."""

import json
import pathlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import suite, tables
from benchmarks.parts import diffusion, info_nce, memory, mixing
from benchmarks.suite import Options

ROOT = pathlib.Path(__file__).parents[2]
# Rates that no machine has, so that shares of them are seen to be computed.
PEAKS = {"float32": 1e18, "bfloat16": 1e18, "bytes": 1e18}
TINY = Options(quick=True, repeats=1, peaks=PEAKS)


@pytest.fixture(autouse=True)
def in_repository(monkeypatch):
    """The command is run from the repository's root, and needs no data sets."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("MMIX_DATA_DIR", raising=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What a part through the command line leaves behind, and the folder."""
    folder = tmp_path_factory.mktemp("suite")
    path = folder / "new" / "results.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        program.main(["diffusion", "--quick", "--repeats=1", f"--out={path}"])
    return path


def test_results_hold_rows_and_what_they_ran_on(written):
    document = json.loads(written.read_text())
    assert document["quick"] is True
    assert document["date"].startswith("20")
    assert document["hardware"]["platform"] == "cpu"
    assert document["hardware"]["threads"] >= 1
    assert document["versions"]["jax"] == jax.__version__
    assert document["options"]["repeats"] == 1
    assert list(document["parts"]) == ["roofline", "diffusion"]
    for part in document["parts"].values():
        assert part["seconds"] > 0
        for row in part["rows"]:
            assert row["seconds"] > 0
            assert row["n"] == 1
    roofline = document["parts"]["roofline"]["rows"]
    assert document["options"]["peaks"] == program.peaks_of(roofline)
    peak = document["options"]["peaks"]["bytes"]
    for row in document["parts"]["diffusion"]["rows"]:
        share = row["bytes"] / row["seconds"] / peak
        assert row["share_of_bandwidth"] == pytest.approx(share)
    assert [path.name for path in written.parent.iterdir()] == [written.name]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no_such_part"], "unknown part 'no_such_part'; expected one of: roofline, info_nce"),
        (["--rows", "0"], "must be a positive number, found '0'"),
        (["--rows", "many"], "must be a positive number, found 'many'"),
        (["--limit_gb=nan"], "must be a positive number, found 'nan'"),
        (["--data_dir=no_such_folder"], "--data_dir must be a folder"),
        (["--out=benchmarks"], "--out must be a file that can be written"),
        (["--out=README.md/results.json"], "--out must be a file that can be written"),
        (["--no_such_flag"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert told in err
    assert err.count("\n") == 1
    assert out == ""


def test_help_names_every_part(capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name in program.PARTS:
        assert f"\n  {name} " in shown


def test_a_part_that_fails_leaves_no_file(tmp_path, monkeypatch, capfd):
    broken = program.Part("benchmarks.no_such_module", "nothing")
    monkeypatch.setattr(program, "PARTS", {"roofline": broken})
    with pytest.raises(SystemExit) as ended:
        program.main(["--quick", f"--out={tmp_path / 'results.json'}"])
    assert ended.value.code == 1
    assert list(tmp_path.iterdir()) == []
    assert "no_such_module" in capfd.readouterr().err


def test_every_part_has_a_table_in_the_document():
    text = (ROOT / "docs" / "performance.md").read_text()
    _, _, named = tables.fill(text, {"parts": {}})
    assert set(program.PARTS) <= set(named)


def test_losses_agree_and_their_products_are_counted(capsys):
    rows = info_nce.measure_size(40, 8, "float32", TINY)
    losses = [row for row in rows if "difference" in row]
    assert max(row["difference"] for row in losses) < 1e-5
    by_case = {(row["what"], row["negatives"]): row for row in losses}
    assert {what.split(",")[0] for what, _ in by_case} >= {"streamed", "dense"}
    row = by_case["streamed, value and gradient", "full"]
    assert row["flops"] == 2 * 8 * 40**2 * 8
    assert row["share_of_peak"] == pytest.approx(row["flops"] / row["seconds"] / 1e18)
    alone = {row["what"]: row["seconds"] for row in rows if "tile" in row}
    similarity, gradient = alone.values()
    assert row["products_ratio"] == pytest.approx(row["seconds"] / (4 * similarity + 4 * gradient))


def test_plain_products_are_all_computed():
    draw = np.random.default_rng(0)
    x, y = (jnp.asarray(draw.standard_normal((24, 4), np.float32)) for _ in range(2))
    similarities, gradients = info_nce.plain_products(x, y, 8)
    # What is left at the end is the last tile; every tile adds to the gradients.
    np.testing.assert_allclose(similarities(), x[16:] @ y[16:].T, rtol=1e-5)
    np.testing.assert_allclose(
        gradients(), jnp.broadcast_to(3 * jnp.sum(y, axis=0), (8, 4)), rtol=1e-4
    )


def test_dense_forms_are_left_out_where_they_do_not_fit():
    cases = info_nce.cases_of(20_000, "float32", Options(limit_gb=8.0))
    assert {form for form, _, _ in cases} == {"streamed"}
    fitting = info_nce.cases_of(10_000, "float32", Options(limit_gb=8.0))
    assert "dense" in {form for form, _, _ in fitting}


@pytest.mark.parametrize(
    ("rule", "candidates", "streamed", "expected"),
    [
        ("mo", "all", False, (2, 6)),
        ("mo", "op", True, (2, 7)),
        ("binary", "all", True, (1, 1)),
        ("random", "all", False, (1, 2)),
        ("random", "op", False, (2, 3)),
        ("none", "op", True, (0, 0)),
    ],
)
def test_products_of_mixing(rule, candidates, streamed, expected):
    assert mixing.products(rule, candidates, streamed=streamed) == expected


def test_mixtures_of_both_sides_agree(capsys):
    pytest.importorskip("torch")
    rows = []
    for mix, torch_mix in _mixing_sides():
        for rule in ("mo", "mp"):
            rows += mixing.measure_rule(rule, mixing.draw_inputs(30, 8), mix, torch_mix, TINY)
    assert len(rows) == 12
    assert max(row["difference"] for row in rows) < 1e-5


def _mixing_sides():
    """(library, torch) along edges, and over pairs with both kinds of candidates."""
    from benchmarks.torch import forms
    from mmix_jax.mixing import mix_edges, mix_pairs

    senders, receivers = mixing.draw_edges(30)
    ends = {"senders": senders, "receivers": receivers}
    torch_ends = {name: forms.tensor(x).long() for name, x in ends.items()}
    yield (
        partial(mix_edges, **ends, self_weight=0.2),
        partial(forms.mix_edges, **torch_ends, self_weight=0.2),
    )
    for candidates, threshold in (("all", None), ("op", 0.3)):
        yield (
            partial(mix_pairs, candidates=candidates, threshold=threshold or 0.0),
            partial(forms.mix_pairs, threshold=threshold, self_weight=0.2),
        )


@pytest.mark.parametrize("kind", ["ppr", "heat"])
def test_power_series_reaches_the_tolerance(kind):
    found = diffusion.power_coefficients(kind)
    assert np.sum(found) >= 1 - diffusion.TOLERANCE
    assert np.sum(found[:-1]) < 1 - diffusion.TOLERANCE


@pytest.mark.parametrize("power", [1, 2])
def test_growth_finds_what_memory_was_made_of(power):
    def taken(size: int) -> float:
        return 3e6 + 24.0 * size**power

    sizes = [100, 1000, 2000]
    found = memory.fit([(size, taken(size), 4.0) for size in sizes], power)
    assert found is not None
    assert found.slope == pytest.approx(24.0)
    largest = found.largest(1e9)
    assert taken(largest) <= 1e9 < taken(largest + 2)
    assert found.seconds_per_pair == 4.0 / 2000**2
    assert found.largest(1e6) == 0


@pytest.mark.parametrize(("extra", "largest", "slope"), [(0.0, 7905, 16.0), (0.2e9, 7157, 19.8178)])
def test_the_largest_size_is_confirmed_or_corrected_by_a_run(monkeypatch, extra, largest, slope):
    def taken(form, num_rows, options):
        return 16.0 * num_rows**2 + (extra if num_rows > 2000 else 0.0), 1.0

    monkeypatch.setattr(memory, "measure_once", taken)
    rows = memory.measure_form("dense", [1000, 2000], 2, Options(limit_gb=1.0))
    assert [row["rows"] for row in rows] == [1000, 2000, largest, 7509]
    assert rows[2]["bytes_per_pair"] == pytest.approx(slope, rel=1e-4)
    assert rows[2]["confirmed"] is (extra == 0.0)
    assert rows[3]["above_floor_mb"] == pytest.approx((16.0 * 7509**2 + extra) / 1e6)


def test_memory_that_does_not_grow_predicts_nothing():
    assert memory.fit([(100, 5e6, 1.0), (200, 5e6, 1.0)], 1) is None


def test_rows_of_different_columns_make_one_table():
    rows = [
        {"what": "a", "rows": 20_000, "seconds": 0.12345, "flops": 1.0, "gflops": 12.34},
        {"what": "longer", "rows": 10, "seconds": 312.4, "share_of_peak": 0.5, "odd_key": True},
    ]
    lines = suite.text_table(rows).splitlines()
    assert lines[0].split() == ["what", "N", "s", "GFLOP/s", "share", "of", "peak", "odd", "key"]
    assert lines[1].split() == ["a", "20,000", "0.123", "12.3"]
    assert lines[2].split() == ["longer", "10", "312", "50", "%", "yes"]
    assert len({len(line.rstrip()) for line in lines[::2]}) == 1


def test_alternatives_take_turns():
    order: list[str] = []
    sides = {name: (lambda name=name: order.append(name)) for name in "ab"}
    found = suite.median_seconds(sides, Options(repeats=2), warm_up=1)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert set(found) == {"a", "b"}


@pytest.fixture
def document(written) -> dict:
    """Results that may fill a document."""
    return json.loads(written.read_text()) | {"quick": False}


@pytest.fixture
def page(tmp_path) -> pathlib.Path:
    path = tmp_path / "page.md"
    path.write_text(
        "# Before\n<!-- table: diffusion -->\nold | table\n<!-- end -->\nbetween\n"
        "<!-- table: steps -->\nkept\n<!-- end -->\nafter\n"
    )
    return path


def _results(tmp_path: pathlib.Path, document) -> str:
    path = tmp_path / "results.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_tables_are_filled_and_the_rest_stays(tmp_path, page, document, capsys):
    arguments = [_results(tmp_path, document), str(page)]
    assert tables.main(arguments) == 0
    text = page.read_text()
    rows = document["parts"]["diffusion"]["rows"]
    assert [line for line in text.splitlines() if line.startswith("| ppr")]
    assert text.count("\n| ") == 2 + len(rows)  # headings, rule, rows
    assert "old | table" not in text
    assert document["hardware"]["processor"] in text
    assert f"jax {jax.__version__}" in text
    assert text.startswith("# Before\n<!-- table: diffusion -->\n")
    assert text.endswith(
        "<!-- end -->\nbetween\n<!-- table: steps -->\nkept\n<!-- end -->\nafter\n"
    )
    assert "filled: diffusion; without results: steps" in capsys.readouterr().out
    assert tables.main(arguments) == 0  # again: nothing piles up
    assert page.read_text() == text


def test_quick_results_do_not_fill_a_document(written, page, capsys):
    before = page.read_text()
    assert tables.main([str(written), str(page)]) == 2
    assert "--quick" in capsys.readouterr().err
    assert page.read_text() == before


@pytest.mark.parametrize(
    ("results", "text", "told"),
    [
        ("{", "", "must be JSON"),
        ("[]", "", "found other JSON"),
        (None, "<!-- table: steps -->\n", "has no '<!-- end -->'"),
        (None, "a\n<!-- end -->\n", "line 2: every"),
        (None, "<!-- table: steps --><!-- table: runs -->", "out of turn"),
    ],
)
def test_what_cannot_be_filled_is_told(tmp_path, page, document, capsys, results, text, told):
    page.write_text(text)
    assert tables.main([_results(tmp_path, results or document), str(page)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert told in err
    assert err.count("\n") == 1
    assert page.read_text() == text


def test_tables_wants_two_files(capsys):
    assert tables.main(["results.json"]) == 2
    assert "two files are needed, found 1" in capsys.readouterr().err
