"""One module a page: each lays out and computes nothing."""
