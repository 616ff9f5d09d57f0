"""The prepared inputs of a run: splits, features, priors and finished runs."""
