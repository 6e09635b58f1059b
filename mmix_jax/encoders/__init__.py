"""Encoders of graphs and images. Their names are light; the modules are imported where used."""

# By the kind of data: what a config may name.
GRAPH_ENCODERS = ("gcn", "gat")
IMAGE_ENCODERS = ("resnet18",)
ACTIVATIONS = ("prelu", "relu")
