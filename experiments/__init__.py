"""`python -m experiments.NAME` for each command of `keras-kd`, and the benchmarks; not installed."""
