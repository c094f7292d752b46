"""What a study found: accuracies paired by seed, claims and verdicts, a summary, a page."""
