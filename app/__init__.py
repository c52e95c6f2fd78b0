"""The dashboard: pages, controls, callbacks and data routes. It shows and computes nothing."""
