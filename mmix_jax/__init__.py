"""M-Mix in JAX: contrastive representation learning with mixed hard negatives.

    import mmix_jax as mm

Embed what is in memory: `mm.NodeEmbedder`, `mm.GraphEmbedder`, `mm.ImageEmbedder`. Take what is
trained: `mm.load_pretrained`. Bring data in: `mm.make_graph`, `mm.from_networkx` and its like,
`mm.read_graph_file` and its like, `mm.load_nodes` and its like. In a training loop of one's own:
`mm.mix_edges`, `mm.mix_pairs`, `mm.info_nce` and their like. Judge: `mm.evaluation`. Names are
imported when they are first used.
"""

from typing import TYPE_CHECKING

from mmix_jax.lazy import importer

__version__ = "0.1.0"

_HOMES = {
    "estimators": ("GraphEmbedder", "ImageEmbedder", "NodeEmbedder"),
    "graphs": ("Graph", "Split", "make_graph"),
    "data": (
        *("from_edges", "from_networkx", "from_networkx_graphs", "from_pyg", "from_scipy"),
        *("from_tables", "load_graphs", "load_images", "load_nodes", "make_graph_dataset"),
        *("make_image_dataset", "random_split", "read_graph_file", "read_graph_folder"),
        *("read_image_folder", "stratified_split"),
    ),
    "mixing": ("i_mix_inputs", "mix_edges", "mix_pairs"),
    "losses": ("anchor_info_nce", "diversity", "info_nce", "virtual_labels"),
    "experiments": ("evaluate", "pretrain", "task_of"),
    "pretrained": ("load_pretrained", "pretrained_names"),
    "errors": ("InputError",),
}
_ROOMS = ("data", "encoders", "evaluation", "experiments", "graphs", "losses", "mixing", "theory")

if TYPE_CHECKING:
    from mmix_jax import data, encoders, evaluation, experiments, graphs, losses, mixing, theory
    from mmix_jax.data import (
        from_edges,
        from_networkx,
        from_networkx_graphs,
        from_pyg,
        from_scipy,
        from_tables,
        load_graphs,
        load_images,
        load_nodes,
        make_graph_dataset,
        make_image_dataset,
        random_split,
        read_graph_file,
        read_graph_folder,
        read_image_folder,
        stratified_split,
    )
    from mmix_jax.errors import InputError
    from mmix_jax.estimators import GraphEmbedder, ImageEmbedder, NodeEmbedder
    from mmix_jax.experiments import evaluate, pretrain, task_of
    from mmix_jax.graphs import Graph, Split, make_graph
    from mmix_jax.losses import anchor_info_nce, diversity, info_nce, virtual_labels
    from mmix_jax.mixing import i_mix_inputs, mix_edges, mix_pairs
    from mmix_jax.pretrained import load_pretrained, pretrained_names

__all__ = [
    "Graph",
    "GraphEmbedder",
    "ImageEmbedder",
    "InputError",
    "NodeEmbedder",
    "Split",
    "anchor_info_nce",
    "data",
    "diversity",
    "encoders",
    "evaluate",
    "evaluation",
    "experiments",
    "from_edges",
    "from_networkx",
    "from_networkx_graphs",
    "from_pyg",
    "from_scipy",
    "from_tables",
    "graphs",
    "i_mix_inputs",
    "info_nce",
    "load_graphs",
    "load_images",
    "load_nodes",
    "load_pretrained",
    "losses",
    "make_graph",
    "make_graph_dataset",
    "make_image_dataset",
    "mix_edges",
    "mix_pairs",
    "mixing",
    "pretrain",
    "pretrained_names",
    "random_split",
    "read_graph_file",
    "read_graph_folder",
    "read_image_folder",
    "stratified_split",
    "task_of",
    "theory",
    "virtual_labels",
]

__getattr__ = importer(
    __name__,
    {
        **{name: home for home, names in _HOMES.items() for name in names},
        **dict.fromkeys(_ROOMS, ""),
    },
)


def __dir__() -> list[str]:
    return __all__
