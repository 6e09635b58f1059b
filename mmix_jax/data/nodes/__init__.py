"""Graphs whose nodes are labelled: files, formats, and graphs made by formula."""

_SPLIT = ("split", "split_seed")
_PUBLISHED = ("name", "data_dir", *_SPLIT)

# By name: module and function that load it, imported when they are used, and those arguments of
# `catalog.load_nodes` that the function takes. Without a split among them the data has one only.
NODE_LOADERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cora": ("planetoid.load_planetoid", _PUBLISHED),
    "citeseer": ("planetoid.load_planetoid", _PUBLISHED),
    "pubmed": ("planetoid.load_planetoid", _PUBLISHED),
    "dblp": ("citation_full.load_citation_full", _PUBLISHED),
    "cora_full": ("citation_full.load_citation_full", _PUBLISHED),
    "cora_ml": ("citation_full.load_citation_full", _PUBLISHED),
    "citeseer_full": ("citation_full.load_citation_full", _PUBLISHED),
    "pubmed_full": ("citation_full.load_citation_full", _PUBLISHED),
    "digits_graph": ("digits_graph.load_digits_graph", _SPLIT),
    "graph_file": (
        "graph_file.read_graph_file",
        ("path", *_SPLIT, "structure", "missing", "skip_columns"),
    ),
    "ppi": ("ppi.load_ppi", ("data_dir",)),
    "ppi_folder": ("ppi.read_ppi", ("path",)),
    "synthetic_graph": ("synthetic_graph.load_synthetic_graph", ("synthetic", *_SPLIT)),
}
NODE_DATASETS = tuple(NODE_LOADERS)

# What the path of one's own data may lead to.
NODE_PATHS = {
    "graph_file": "an .npz file, a folder with edges.csv and nodes.csv, or a .csv file of edges",
    "ppi_folder": "a folder, zip or tar with train_graph.json and the others, or ppi-G.json and "
    "the others",
}
