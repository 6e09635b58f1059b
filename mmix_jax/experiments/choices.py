"""The words that a config may hold. Copied here, because importing who knows them takes seconds.

`tests/experiments/test_choices.py` compares them with the library's own.
"""

NODE_DATASETS = (
    "cora",
    "citeseer",
    "pubmed",
    "dblp",
    "cora_full",
    "cora_ml",
    "citeseer_full",
    "pubmed_full",
    "digits_graph",
    "graph_file",
    "ppi",
    "ppi_folder",
    "synthetic_graph",
)
IMAGE_DATASETS = ("cifar10", "cifar100", "digits", "generated", "image_folder")

RULES = ("mo", "mp", "random", "binary", "none", "neighbour_mean", "propagate")
CANDIDATES = ("op", "all")
NEGATIVES = ("full", "cross")
EXCHANGES = ("gather", "ring")
FORMS = ("bce", "jsd")
SAMPLERS = ("full", "nodes", "window")
ENCODERS = ("gcn", "gat")
ACTIVATIONS = ("prelu", "relu")
READOUTS = ("mean", "sum")
FEATURES = (
    "auto",
    "labels",
    "attributes",
    "labels+attributes",
    "labels+degree",
    "attributes+degree",
    "degree",
)
