"""The training of one model, or of several models that read the same batches, up to their final checkpoints."""
