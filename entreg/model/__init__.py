"""The saliency model: readout, finalizer and log density, and the published weights."""
