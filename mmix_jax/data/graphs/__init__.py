"""Sets of graphs: TUDataset's format, and folders of one's own."""

_FEATURES = ("features", "max_degree")

# Names that configs write, and those of the collection, all of whose sets load by their own.
OFFICIAL = {
    "mutag": "MUTAG",
    "ptc_mr": "PTC_MR",
    "imdb_binary": "IMDB-BINARY",
    "imdb_multi": "IMDB-MULTI",
    "reddit_binary": "REDDIT-BINARY",
    "coil_del": "COIL-DEL",
}
# By name: module and function that load it, imported when they are used, and those arguments of
# `catalog.load_graphs` that the function takes.
TU_LOADER = ("tudataset.load_tudataset", ("name", "data_dir", *_FEATURES))
GRAPH_LOADERS: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(OFFICIAL, TU_LOADER),
    "graph_folder": ("graph_folder.read_graph_folder", ("path", *_FEATURES)),
}
GRAPH_DATASETS = tuple(GRAPH_LOADERS)

# What the path of one's own data may lead to.
GRAPH_PATHS = {"graph_folder": "a folder of .npz files, one graph each"}

# What x may be made of.
FEATURES = (
    "auto",
    "labels",
    "attributes",
    "labels+attributes",
    "labels+degree",
    "attributes+degree",
    "degree",
)
