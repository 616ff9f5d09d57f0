"""The typed results.json, which the evaluation fills, the report prints and scripts read."""
