"""Statistic charts: pure functions from arrays to Plotly figures, one file a subject."""
