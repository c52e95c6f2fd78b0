"""Comparisons with named peers; each prints the ratio, the quality of both and all versions."""
