"""Graphs whose nodes are labelled: files, formats, and graphs made by formula."""
