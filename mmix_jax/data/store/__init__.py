"""Where files come from: folders, downloads, archives, pinned sums, safe unpickling."""
