"""Temperature, alpha and the recipe found by keras-tuner: space, oracles, trials, workers."""
