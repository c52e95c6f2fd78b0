"""From a model and a corpus to queries, keys, maps and attention. Knows nothing about screens."""
