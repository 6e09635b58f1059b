"""The plans by their names: which runs the paper's tables are made of, and with how many seeds."""

from collections.abc import Callable, Iterable, Mapping

from mmix_jax.errors import InputError
from mmix_jax.fields import unknown
from mmix_jax.plans import paper
from mmix_jax.plans.runs import Setting
from mmix_jax.plans.table import Line, Measure, Table

# Trainings by data set, unless --seeds says otherwise: more where they are cheap.
SEEDS = {
    "cora": 10, "citeseer": 10, "pubmed": 5, "dblp": 5, "ppi": 3, "digits_graph": 10,
    "mutag": 10, "ptc_mr": 5, "imdb_binary": 5, "imdb_multi": 5, "reddit_binary": 1,
    "proteins": 3, "nci1": 3, "coil_del": 3, "cifar10": 1, "cifar100": 1, "digits": 10,
}  # fmt: skip
# Seconds of a training with its evaluation on two CPU cores: what an estimate begins with. Those
# that want an accelerator have none.
SECONDS = {
    "cora": 25, "citeseer": 35, "pubmed": 60, "dblp": 120, "digits_graph": 12, "mutag": 20,
    "ptc_mr": 35, "imdb_binary": 60, "imdb_multi": 60, "reddit_binary": 1500, "proteins": 120,
    "nci1": 200, "coil_del": 110, "digits": 90,
}  # fmt: skip

_NODE_SETS = ("cora", "citeseer", "pubmed")
_GRAPH_SETS = ("mutag", "ptc_mr", "imdb_binary", "imdb_multi")
_RULES = ("none", "i_mix", "mo", "mp_nodiv", "mp")
_LEVELS = ("node_only", "graph_only")
_ACCURACY = Measure("accuracy", "mean")
_SVM = Measure("accuracy", "mean", "svm")
_SINGLE = Measure("accuracy", "single")
# Sets of the TU collection without a config of their own.
_OF_TU = {"proteins": "PROTEINS", "nci1": "NCI1"}

_STANDARD = (
    "Logistic regression on frozen embeddings of the public split, mean of both branches; L2, step "
    "and settings chosen on validation nodes. Ours mixes along edges (wp); the paper's mo-mix has "
    "the numbers of its mo-mix-op in table 7."
)
_FOLDS = (
    "Linear SVM over 10 stratified folds on frozen representations, mean of both branches, last "
    "step. No label is seen in a training, but features, readout and steps were chosen by inner "
    "cross-validations that see the label of every graph, so that all rows, `random-init` among "
    "them, are somewhat optimistic."
)


def setting_of(dataset: str, variant: str, **changes: str) -> Setting:
    """The run of a variant on a data set."""
    if dataset in _OF_TU:  # by a config of such sets, on another
        return Setting("mutag", variant, (("dataset", _OF_TU[dataset]), ("features", "auto")))
    return Setting(dataset, variant, tuple(changes.items()))


def _with_baseline(lines: list[Line], base: str) -> list[Line]:
    """Lines of one data set, and first the random-initialised encoder of the base's runs."""
    first = next(line for line in lines if line.row == base)
    untrained = first._replace(row=f"random-init ({base})", paper=None, trained=False, against=base)
    return [untrained, *lines]


def _rows(
    dataset: str,
    variants: Iterable[str],
    measure: Measure,
    scores: Mapping[tuple[str, str], paper.Paper],
    *,
    base: str = "none",
    prefix: str = "",
) -> list[Line]:
    lines = [
        Line(
            dataset,
            variant,
            setting_of(dataset, prefix + variant),
            measure,
            SEEDS[dataset],
            scores.get((dataset, variant)),
            against="" if variant == base else base,
        )
        for variant in variants
    ]
    return _with_baseline(lines, base)


def _nodes() -> Table:
    lines = [
        line
        for dataset in _NODE_SETS
        for line in _rows(dataset, ("mvgrl", *_RULES), _ACCURACY, paper.NODES)
    ]
    return Table("table2", "nodes, MVGRL-style", _STANDARD, tuple(lines))


def _grace() -> Table:
    variants = ("none", "gat", "i_mix", "mo", "mp_nodiv", "mp")
    lines = _rows("dblp", variants, _SINGLE, paper.GRACE)
    lines += _rows("ppi", variants, Measure("micro_f1", "single"), paper.GRACE)
    caption = (
        "Frozen encoder output. DBLP: logistic regression over 20 random 10/10/80 splits, L2 tuned "
        "on others; deviations are over seeds and splits. PPI: micro-F1 on unseen graphs. The last "
        "step. The paper has its mixing rows after GRACE with GAT; ours have the GCN."
    )
    return Table("table3", "nodes, GRACE-style", caption, tuple(lines))


def _graphs() -> Table:
    variants = ("mvgrl", "none", "random", "mo", "mp_nodiv", "mp", *_LEVELS)
    lines = [
        line for dataset in _GRAPH_SETS for line in _rows(dataset, variants, _SVM, paper.GRAPHS)
    ]
    few = ("mvgrl", "none", "mo", "mp_nodiv", "mp", *_LEVELS)
    lines += _rows("reddit_binary", few, _SVM, paper.GRAPHS)
    return Table(
        "table4", "sets of graphs, and one level of equation 11 alone", _FOLDS, tuple(lines)
    )


def _clustering() -> Table:
    lines = [
        line
        for dataset in _NODE_SETS
        for metric, scores in paper.CLUSTERING.items()
        for line in _rows(
            dataset, ("mvgrl", "none", "mo", "mp"), Measure(metric, "mean"), scores, base="mvgrl"
        )
    ]
    caption = (
        "K-means with as many clusters as classes on the mean of both branches; the mean of 10 "
        "repeats (Pubmed 3)."
    )
    return Table("table5", "clustering of nodes", caption, tuple(lines))


def _branches(name: str) -> Table:
    lines = []
    for dataset in (*_NODE_SETS, *_GRAPH_SETS):
        protocol = "" if dataset in _NODE_SETS else "svm"
        for branch in ("a", "b", "mean"):
            measure = Measure("accuracy", branch, protocol)
            score = paper.BRANCHES.get((dataset, branch))
            setting = setting_of(dataset, "mp")
            against = "" if branch == "mean" else "mean"
            lines.append(Line(dataset, branch, setting, measure, SEEDS[dataset], score, against))
    caption = (
        "mp-mix with L_div: branch a is g(ẑ^a), b is z^b, mean their mean. Nodes: logistic "
        "regression, public split, step chosen by the mean's validation accuracy; sets of graphs: "
        "linear SVM over 10 folds, last step."
    )
    return Table(name, "branches of mp-mix", caption, tuple(lines))


def _mixing() -> Table:
    variants = ("none", "binary", "random", "neighbour_mean", "propagate", "mo_op", "mp")
    lines = [
        line for dataset in _NODE_SETS for line in _rows(dataset, variants, _ACCURACY, paper.MIXING)
    ]
    return Table("table7", "what is mixed on nodes, and how", _STANDARD, tuple(lines))


def _images() -> Table:
    measure = Measure("top1", "single", "linear")
    lines = [
        line
        for dataset in ("cifar10", "cifar100", "digits")
        for line in _rows(dataset, ("none", "binary", "mo_op"), measure, paper.IMAGES)
    ]
    lines += _rows("digits", ("none", "binary", "mo_op"), Measure("top1", "single", "knn"), {})
    caption = (
        "Features of frozen, clean images: linear is a logistic regression, its L2 chosen on "
        "held-out training images; knn weighted votes of the nearest training images. Last step. "
        "CIFAR with ResNet-18 for 500 epochs wants an accelerator; digits stand in on a CPU."
    )
    return Table("table8", "images", caption, tuple(lines))


def _edit_distance() -> Table:
    lines = []
    for metric, scores in paper.EDIT_DISTANCE.items():
        for size in ("n10", "n15", "n20", "n50"):
            measure = Measure(f"{metric}_{size}", "mean")
            methods = [
                Line(
                    "coil_del",
                    name,
                    Setting("coil_del"),
                    measure._replace(representation="single", method=name),
                    SEEDS["coil_del"] if name == "supervised" else 1,
                    scores[size, name.replace(" ", "_")],
                )
                for name in ("histogram kernel", "weisfeiler-lehman kernel", "supervised")
            ]
            trained = [
                Line(
                    "coil_del",
                    variant,
                    Setting("coil_del", variant if variant != "mp" else ""),
                    measure,
                    SEEDS["coil_del"],
                    scores.get((size, variant)),
                    against="" if variant == "none" else "none",
                )
                for variant in ("none", "mvgrl", "mo", "mp")
            ]
            lines += [*methods, *_with_baseline(trained, "none")]
    caption = (
        "COIL-DEL, subgraphs of n nodes: share of 1,000 fixed triplets in which the graph with one "
        "substituted edge is nearer than that with two (ties half), and AUC of near against far "
        "pairs; cosine of the mean of both branches. No label is used. Deviations are over "
        "trainings."
    )
    return Table("table10", "graph edit distance", caption, tuple(lines))


def _further() -> Table:
    lines = []
    for dataset in ("proteins", "nci1"):
        lines += _rows(dataset, ("none", "mo", "mp_nodiv", "mp"), _SVM, {})
    caption = (
        "Larger sets of graphs, with the settings of MUTAG but features of their own, chosen on "
        "none of these graphs. Linear SVM over 10 folds, last step."
    )
    return Table("further_graphs", "further sets of graphs", caption, tuple(lines))


def _further_nodes() -> Table:
    lines = _rows("digits_graph", ("none", "mo", "mp"), _ACCURACY, {})
    for dataset in ("cora", "pubmed"):
        lines += [
            line._replace(dataset=f"{dataset}, GRACE")
            for line in _rows(dataset, ("none", "mo"), _SINGLE, {}, prefix="grace+")
        ]
    caption = (
        "The digits graph, and the GRACE-style framework (its vectors as rows of length one, the "
        "last step) on the public splits: logistic regression, L2 and settings chosen on "
        "validation nodes."
    )
    return Table(
        "further_nodes", "further graphs, and GRACE on public splits", caption, tuple(lines)
    )


TABLES: dict[str, Callable[[], Table]] = {
    "table2": _nodes,
    "table3": _grace,
    "table4": _graphs,
    "table5": _clustering,
    "table6": lambda: _branches("table6"),
    "table7": _mixing,
    "table8": _images,
    "table9": lambda: _branches("table9"),
    "table10": _edit_distance,
    "further_nodes": _further_nodes,
    "further_graphs": _further,
}


def table_of(name: str, *, only: Iterable[str] = (), seeds: int | None = None) -> Table:
    """The table, of some of its data sets, and with so many seeds where it is said.

    Raises:
      InputError: it has none of these data sets.
    """
    table = TABLES[name]()
    wanted = set(only)
    lines = [line for line in table.lines if not wanted or _named(line) & wanted]
    if wanted:  # a part does not take the place of the whole
        name = "-".join([name, *dict.fromkeys(only)])
    if seeds is not None:
        lines = [line._replace(seeds=seeds) for line in lines]
    return table._replace(name=name, lines=tuple(lines))


def datasets_of(name: str) -> list[str]:
    """The data sets that `only` may name, in order."""
    return list(dict.fromkeys(line.dataset.partition(",")[0] for line in TABLES[name]().lines))


def check_only(names: Iterable[str], only: Iterable[str]) -> None:
    """Raise InputError where a data set is in none of the tables."""
    known = dict.fromkeys(dataset for name in names for dataset in datasets_of(name))
    for dataset in only:
        if dataset not in known:
            raise InputError(unknown("--only", dataset, known))


def _named(line: Line) -> set[str]:
    return {line.dataset, line.dataset.partition(",")[0]}
