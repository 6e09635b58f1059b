"""Tables of mixtures: what stands in the file, and in the excerpt."""

import io

import numpy as np
import pandas as pd

from mmix_jax.report.mixtures import Mixtures, mixture_csv, mixture_text

NAMES = np.array(["w", "x", "y", "z"])
CLASSES = np.array(["cat", "dog", "", "cat"])


def mixtures(pairs, **changes) -> Mixtures:
    """Of (anchor, partner, weight, cosine) each."""
    anchors, partners, weights, cosines = (np.array(x) for x in zip(*pairs, strict=True))
    found = Mixtures(
        *(anchors, partners, weights, cosines),
        own=np.array([0.2, 0.25, 1.0, 0.5]),
        names=NAMES,
        classes=CLASSES,
        graphs=None,
        num_anchors=4,
    )
    return found._replace(**changes)


PAIRS = [(1, 0, 0.25, 0.5), (0, 3, 0.3, 0.8), (1, 2, 0.5, 0.9), (0, 1, 0.5, 0.6)]


def read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), keep_default_na=False)


def test_the_file_has_a_line_for_each_partner_by_falling_weight():
    assert mixture_csv(mixtures(PAIRS)).splitlines() == [
        "anchor,anchor_class,own_weight,partners,partner,partner_class,weight,cosine",
        "w,cat,0.2,2,x,dog,0.5,0.6",
        "w,cat,0.2,2,z,cat,0.3,0.8",
        "x,dog,0.25,2,y,,0.5,0.9",
        "x,dog,0.25,2,w,cat,0.25,0.5",
    ]


def test_without_classes_there_are_no_columns_of_them():
    table = read(mixture_csv(mixtures(PAIRS, classes=None)))
    assert list(table) == ["anchor", "own_weight", "partners", "partner", "weight", "cosine"]


def test_in_sets_of_graphs_the_graph_has_the_class():
    graphs = np.array(["g1", "g1", "g1", "g2"])
    table = read(mixture_csv(mixtures(PAIRS, graphs=graphs)))
    assert list(table)[:4] == ["graph", "graph_class", "anchor", "own_weight"]
    assert table["graph"].tolist() == ["g1"] * 4
    assert "graph g1 (class cat), anchor w: own" in mixture_text(
        mixtures(PAIRS, graphs=graphs), "all.csv"
    )


def test_names_with_commas_and_quotes_are_kept():
    names = np.array(['a,"b"', "c\nd", "e", "f"])
    table = read(mixture_csv(mixtures(PAIRS, names=names)))
    assert table["anchor"].tolist() == ['a,"b"'] * 2 + ["c\nd"] * 2


def test_long_mixtures_are_cut_and_counted():
    pairs = [(0, 1, (1 + number) / 1000, 0.5) for number in range(30)]
    table = read(mixture_csv(mixtures(pairs)))
    assert table["partners"].tolist() == [30] * 20
    np.testing.assert_allclose(table["weight"], np.arange(30, 10, -1) / 1000)
    text = mixture_text(mixtures(pairs), "all.csv")
    assert "anchor w (class cat): own weight 0.200, 30 partners, 8 of them shown\n" in text
    assert text.count("dog") == 8


def test_the_excerpt_names_anchors_of_all_classes_first():
    pairs = [(0, 1, 0.2, 0.1), (0, 2, 0.3, 0.1), (0, 3, 0.3, 0.1)]  # three of a cat,
    pairs += [(3, 0, 0.25, 0.1), (3, 1, 0.25, 0.1)]  # two of another,
    pairs += [(1, 0, 0.75, 0.1)]  # one of a dog
    text = mixture_text(mixtures(pairs), "all.csv")
    assert text.startswith("3 of 4 anchors are mixed with others; here are 3, more in all.csv.\n")
    places = [text.index(f"anchor {name} (class") for name in "wxz"]
    assert places == sorted(places)
    assert "anchor x (class dog): own weight 0.250, 1 partner\n" in text


def test_an_unknown_class_is_left_out():
    text = mixture_text(mixtures([(2, 0, 0.5, 0.1)]), "all.csv")
    assert "anchor y: own weight 1.000, 1 partner\n" in text
