"""Sets of graphs: TUDataset's format, and folders of one's own."""
