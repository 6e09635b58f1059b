"""The sentence below the table: differences, intervals, and plain words where nothing is gained."""

import numpy as np
import pytest
from scipy import stats

from mmix_jax.report.headline import headline_score, training_sentence
from tests.example_results import result


def pair(trained, untrained, **changes):
    """A row of the trained encoders, one per seed, and one of the random-initialised ones."""
    return [result(trained, **changes), result(untrained, trained=False, **changes)]


def image(trained, untrained, protocol, metric="top1"):
    about = {"task": "image", "representation": "single", "dataset": "digits"}
    return pair(trained, untrained, protocol=protocol, metric=metric, **about)


def test_images_have_both_judges_and_no_top5():
    rows = [
        *image([0.918], [0.692], "knn k=200"),
        *image([1.0], [0.984], "knn k=200", "top5"),
        *image([0.99], [0.802], "linear, 4 crops"),
    ]
    told = "trained less untrained: +22.6 knn top1 %, +18.8 linear top1 % (n = 1)"
    assert training_sentence(rows, "single") == told


def test_three_seeds_have_a_paired_interval():
    trained, untrained = [0.84, 0.86, 0.85], [0.70, 0.71, 0.69]
    differences = 100 * np.subtract(trained, untrained)
    low, high = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    shown = f"+{differences.mean():.1f} accuracy % [+{low:.1f}, +{high:.1f}]"
    assert training_sentence(pair(trained, untrained), "mean") == (
        f"trained less untrained: {shown} (n = 3, paired 95 % intervals over seeds)"
    )


def test_two_seeds_have_none():
    told = training_sentence(pair([0.84, 0.86], [0.7, 0.7]), "mean")
    assert told == "trained less untrained: +15.0 accuracy % (n = 2)"


def test_seeds_are_paired_by_their_numbers():
    rows = [
        result([0.5, 0.7, 0.9], seeds=[0, 1, 2]),
        result([0.8, 0.4, 0.6], seeds=[2, 0, 1], trained=False),
    ]
    assert "+10.0 accuracy % [+10.0, +10.0] (n = 3" in training_sentence(rows, "mean")


def test_scores_on_splits_say_so():
    rows = [
        result([0.8, 0.8, 0.8], protocol="splits", parts=((0.7, 0.9),) * 3),
        result([0.7, 0.7, 0.7], protocol="splits", parts=((0.6, 0.8),) * 3, trained=False),
    ]
    assert training_sentence(rows, "mean").endswith("paired 95 % intervals over seeds and splits)")


@pytest.mark.parametrize(
    ("trained", "untrained", "said"),
    [
        ([0.70], [0.71], "; training has lowered accuracy"),
        ([0.70], [0.70], "; training has not changed accuracy"),
        ([0.7004], [0.70], "; training has not changed accuracy"),  # reads +0.0
        ([0.71], [0.70], ""),
        (
            [0.71, 0.73, 0.69],
            [0.70, 0.70, 0.70],
            "; no effect of training on accuracy is shown, as 0 lies in the interval",
        ),
        ([0.60, 0.61, 0.60], [0.70, 0.71, 0.70], "; training has lowered accuracy"),
        ([0.80, 0.81, 0.80], [0.70, 0.70, 0.70], ""),
    ],
    ids=["lower", "equal", "equal as shown", "higher", "open", "surely lower", "surely higher"],
)
def test_what_is_no_gain_is_said_in_words(trained, untrained, said):
    told = training_sentence(pair(trained, untrained), "mean")
    assert told.partition(")")[2] == said


def test_words_name_all_measures_that_share_them():
    rows = pair([0.6], [0.7]) + pair([0.1], [0.2], metric="nmi", task="clustering")
    assert training_sentence(rows, "mean") == (
        "trained less untrained: -10.0 accuracy %, -0.100 nmi (n = 1); "
        "training has lowered accuracy and nmi"
    )


def test_the_headline_representation_alone_counts():
    rows = pair([0.9], [0.5], representation="a") + pair([0.8], [0.7])
    assert "+10.0 accuracy %" in training_sentence(rows, "mean")
    assert "+40.0 accuracy %" in training_sentence(rows, "a")


def test_graphs_are_judged_by_the_svm():
    rows = [
        *pair([0.9], [0.8], task="graph", protocol="svm 10-fold"),
        *pair([0.1], [0.0], task="graph", protocol="svm 10-fold", metric="fold_std"),
        *pair([0.7], [0.8], task="graph", protocol="knn 10-fold"),
    ]
    assert training_sentence(rows, "mean") == "trained less untrained: +10.0 svm accuracy % (n = 1)"


def test_methods_that_are_not_pretrained_are_left_out():
    about = {"task": "edit_distance", "metric": "triplet_accuracy_n10", "protocol": "10 triplets"}
    rows = [
        *pair([0.9], [0.75], **about),
        result([1.0], representation="single", framework="supervised", **about),
    ]
    told = "trained less untrained: +0.150 triplet_accuracy_n10 (n = 1)"
    assert training_sentence(rows, "mean") == told


@pytest.mark.parametrize("rows", [[], [result()], [result(metric="rank")]])
def test_without_both_rows_nothing_is_said(rows):
    assert training_sentence(rows, "mean") == ""


def test_the_score_of_one_encoder():
    rows = pair([0.8, 0.9], [0.5, 0.6], seeds=[3, 4])
    assert headline_score(rows, "mean", 4, trained=True) == "accuracy 90.00 %"
    assert headline_score(rows, "mean", 3, trained=False) == "accuracy 50.00 %"
    assert headline_score(rows, "mean", 5, trained=True) == ""
    nmi = pair([0.25], [0.1], metric="nmi", task="clustering")
    assert headline_score(nmi, "mean", 0, trained=True) == "nmi 0.250"
