"""Proof that nothing is lost: kills, power cuts, damage, full disks, done to the real program.

`make soak` runs all of it with full counts; `test_soak.py` runs each part with a small one.
"""
