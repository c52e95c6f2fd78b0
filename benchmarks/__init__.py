"""Each script compares us with a named peer, or one of our own ways, in one run."""
