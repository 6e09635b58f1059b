"""Paired comparisons, as functions and as a command."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from example_results import result
from mmix_jax.errors import InputError
from mmix_jax.report.compare import compare, comparison_table, main
from mmix_jax.report.paired import holm, paired
from mmix_jax.results import write_results

A = (0.80, 0.82, 0.85, 0.81, 0.84)
B = (0.82, 0.83, 0.85, 0.84, 0.83)


def test_differences_interval_and_signs():
    (comparison,) = compare([result(A)], [result(B)])
    paired = stats.ttest_rel(B, A)
    low, high = paired.confidence_interval(0.95)
    assert comparison.mean == pytest.approx(0.01, abs=1e-12)
    assert comparison.interval == pytest.approx((low, high), abs=1e-12)
    assert (comparison.above, comparison.equal, comparison.below) == (3, 1, 1)
    # Of the four that differ, three or more, or one or fewer, are heads: 10 of 16 outcomes.
    assert comparison.sign_p == pytest.approx(10 / 16, abs=1e-12)
    assert (comparison.seeds, comparison.unpaired) == ((0, 1, 2, 3, 4), 0)


def test_interval_by_hand():
    # Three differences 0.01, 0.02, 0.03: deviation 0.01, t(0.975, 2) = 4.302652729911275.
    (comparison,) = compare([result([0.5, 0.5, 0.5])], [result([0.51, 0.52, 0.53])])
    half = 4.302652729911275 * 0.01 / np.sqrt(3)
    assert comparison.interval == pytest.approx((0.02 - half, 0.02 + half), abs=1e-12)


def test_swapping_the_runs_swaps_the_sign():
    (ab,), (ba,) = compare([result(A)], [result(B)]), compare([result(B)], [result(A)])
    assert ab.interval is not None and ba.interval is not None
    assert ba.mean == -ab.mean
    assert ba.interval == (-ab.interval[1], -ab.interval[0])
    assert (ba.above, ba.below, ba.sign_p) == (ab.below, ab.above, ab.sign_p)


def test_pairs_go_by_seed_not_by_place():
    order = [3, 0, 4, 2, 1]
    shuffled = result([B[i] for i in order], seeds=order)
    assert compare([result(A)], [shuffled]) == compare([result(A)], [result(B)])


def test_seeds_may_be_spread_over_rows():
    rows = [result([value], seeds=[seed]) for seed, value in enumerate(B)]
    assert compare([result(A)], rows) == compare([result(A)], [result(B)])


def test_seeds_of_one_run_only_are_left_out_and_counted():
    (comparison,) = compare([result(A)], [result([0.9, 0.9, 0.9], seeds=[3, 4, 9])])
    assert comparison.seeds == (3, 4)
    assert comparison.mean == pytest.approx(0.9 - (0.81 + 0.84) / 2, abs=1e-12)
    assert comparison.unpaired == 4


def test_a_single_pair_has_no_interval():
    (comparison,) = compare([result([0.8])], [result([0.9])])
    assert comparison.interval is None
    assert comparison.mean == pytest.approx(0.1)
    assert "undefined (one pair)" in comparison_table([comparison])


def test_equal_runs():
    (comparison,) = compare([result(A)], [result(A)])
    assert (comparison.mean, comparison.interval, comparison.sign_p) == (0.0, (0.0, 0.0), 1.0)
    assert (comparison.above, comparison.equal, comparison.below) == (0, 5, 0)


def test_topics_are_kept_apart_and_those_of_one_run_only_are_left_out():
    a = [
        result(A),
        result(A, trained=False),
        result(A, representation="a"),
        result(A, metric="nmi"),
        result(A, dataset="pubmed"),
    ]
    b = [
        result([v + 0.3 for v in A], dataset="pubmed"),
        result([v + 0.2 for v in A], metric="nmi"),
        result([v + 0.1 for v in A], trained=False),
        result(B),
        result(B, representation="b"),
    ]
    means = {
        (c.topic.dataset, c.topic.metric, c.topic.trained): c.mean
        for c in compare(a, b)
        if c.topic.representation == "mean"
    }
    assert len(compare(a, b)) == 4
    assert means == pytest.approx(
        {
            ("cora", "accuracy", True): 0.01,
            ("cora", "accuracy", False): 0.1,
            ("cora", "nmi", True): 0.2,
            ("pubmed", "accuracy", True): 0.3,
        }
    )


def test_every_common_protocol_is_compared_by_itself():
    a = [result(A), result(A, protocol="reference")]
    b = [result([v + 0.1 for v in A], protocol="reference"), result(B)]
    means = {c.protocol: c.mean for c in compare(a, b)}
    assert means == pytest.approx({"standard": 0.01, "reference": 0.1})


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            [result(A)],
            [result(B, protocol="reference")],
            "by one protocol, found standard in A and reference in B for cora, mean, accuracy;",
        ),
        ([result(A)], [result(B, seeds=range(10, 15))], "share seeds, found 0; 1; 2 and 2 more"),
        ([result(A)], [result(B, dataset="pubmed")], "found cora, mean, accuracy in A and pubmed"),
        ([result(A)], [result(B, trained=False)], r"in A and cora, mean, accuracy \(random-init\)"),
        ([], [result(B)], "found nothing in A"),
        ([result(A)], [result(B), result(B, mixing="mp")], "found seed 0 twice in B for cora"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(a, b, message):
    with pytest.raises(InputError, match=message) as error:
        compare(a, b)
    assert "\n" not in str(error.value)


def test_table_line_by_line():
    nmi_a, nmi_b = [0.6, 0.6, 0.6, 0.6, 0.6], [0.601, 0.6, 0.599, 0.6, 0.6]
    table = comparison_table(
        compare([result(A), result(nmi_a, metric="nmi")], [result(B), result(nmi_b, metric="nmi")])
    )
    assert table.split("\n") == [
        "dataset  representation  trained  metric       B - A  95 % interval     "
        "n  B>A  B=A  B<A  sign p",
        "-------  --------------  -------  ----------  ------  ----------------  "
        "-  ---  ---  ---  ------",
        "cora     mean            yes      accuracy %   +1.00  [-0.96, +2.96]    "
        "5    3    1    1   0.625",
        "cora     mean            yes      nmi         +0.000  [-0.001, +0.001]  "
        "5    1    3    1   1.000",
    ]


@pytest.fixture
def workdirs(tmp_path):
    write_results(tmp_path / "a" / "results.jsonl", [result(A, mixing="none", candidates="")])
    write_results(tmp_path / "b" / "results.jsonl", [result(B), result(B, trained=False)])
    return tmp_path / "a", tmp_path / "b"


def test_command_prints_what_was_compared(workdirs, capsys):
    a, b = workdirs
    assert main([str(a), str(b / "results.jsonl")]) == 0
    printed = capsys.readouterr()
    lines = printed.out.split("\n")
    assert lines[0] == f"A: {a} (mvgrl info_nce none)"
    assert lines[1] == f"B: {b / 'results.jsonl'} (mvgrl info_nce mo wp)"
    assert "+1.00  [-0.96, +2.96]" in lines[4]
    assert "note" not in printed.out
    assert printed.err == ""


def test_command_notes_what_a_reader_must_know(tmp_path, capsys):
    write_results(tmp_path / "a.jsonl", [result(A, selection="loss")])
    write_results(tmp_path / "b.jsonl", [result(B[:3])])
    assert main([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]) == 0
    printed = capsys.readouterr().out
    assert "note: checkpoints were chosen differently: by loss in A, valid in B\n" in printed
    assert "note: 2 seeds of only one run are left out\n" in printed


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("missing.jsonl", "cannot read results from"),
        ("damaged.jsonl", "damaged.jsonl, line 1: not a JSON object"),
        ("empty.jsonl", "empty.jsonl must hold results, found none"),
        ("folder", "folder/results.jsonl: No such file"),
        (None, "the following arguments are required: b; give two"),
    ],
)
def test_command_tells_bad_input_in_one_line(tmp_path, capsys, second, message):
    write_results(tmp_path / "good.jsonl", [result(A)])
    (tmp_path / "damaged.jsonl").write_text("{")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "folder").mkdir()
    paths = [str(tmp_path / name) for name in ("good.jsonl", second) if name]
    assert main(paths) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert message in printed.err


def test_module_runs_as_a_command(workdirs):
    a, b = map(str, workdirs)
    command = [sys.executable, "-W", "error", "-m", "mmix_jax.report.compare"]
    done = subprocess.run([*command, a, b], capture_output=True, text=True, check=True)
    assert "[-0.96, +2.96]" in done.stdout
    assert done.stderr == ""
    refused = subprocess.run([*command, a, f"{b}/none"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: cannot read results") and refused.stdout == ""


def split_results(table):
    """A run whose scores are over splits: table [S, T]."""
    table = np.asarray(table)
    return result(table.mean(axis=1), parts=tuple(map(tuple, table.tolist())))


def test_scores_over_splits_are_compared_split_by_split():
    draw = np.random.default_rng(0)
    a, b = draw.normal(0.8, 0.01, size=(2, 3, 20))
    (comparison,) = compare([split_results(a)], [split_results(b)])
    assert comparison.mean == pytest.approx((b - a).mean(), abs=1e-12)
    assert comparison.interval == pytest.approx(paired(b - a).interval, abs=1e-12)
    assert (comparison.seeds, comparison.splits) == ((0, 1, 2), 20)
    assert " 3 x 20 " in comparison_table([comparison])


def test_other_numbers_of_splits_are_told():
    a, b = np.full((2, 3), 0.5), np.full((2, 4), 0.6)
    with pytest.raises(InputError, match="must be scored on the same splits"):
        compare([split_results(a)], [split_results(b)])


def test_paired_is_students_where_one_factor_is_drawn():
    values = np.array([0.01, 0.02, 0.04])
    wanted = stats.ttest_1samp(values, 0.0)
    for table in (values[:, None], np.repeat(values[:, None], 20, axis=1)):
        found = paired(table)
        assert found.interval == pytest.approx(tuple(wanted.confidence_interval(0.95)), abs=1e-12)
        assert found.p == pytest.approx(wanted.pvalue, abs=1e-12)
    assert paired(values[None, :]) == (None, None)  # nothing is known of other trainings


def test_equal_differences_have_no_spread_to_judge_by():
    assert paired(np.zeros((3, 1))) == ((0.0, 0.0), 1.0)
    assert paired(np.full((2, 1), 0.01)) == ((0.01, 0.01), None)


def test_holm_against_its_definition():
    draw = np.random.default_rng(0)
    for size in (1, 2, 7):
        p = draw.uniform(0, 0.3, size)
        naive = [
            min(
                1.0,
                max((size - rank) * value for rank, value in enumerate(sorted(p)) if value <= x),
            )
            for x in p
        ]
        assert holm(list(p)) == pytest.approx(naive, abs=1e-12)
    assert holm([None, 0.2, None]) == [None, 0.2, None]


def test_paired_covers_the_mean_of_two_random_factors():
    draw = np.random.default_rng(1)
    covered = 0
    for _ in range(600):
        seeds, splits = draw.normal(size=(3, 1)), 0.7 * draw.normal(size=(1, 20))
        low, high = paired(seeds + splits + draw.normal(size=(3, 20))).interval
        covered += low <= 0 <= high
    assert covered >= 0.93 * 600  # 60 independent values would give an interval that covers 55 %
