"""entreg: does a saliency model generalise better when it is trained not to have a spatial bias of its own?

Each room hands on to the next, none reaches back:

    conf -> data -> features -> model -> losses -> engine -> evaluate -> report

data      stimuli and fixations of one data set, brought to one size
features  the frozen backbone, run once an image into a memory-mapped store
model     DeepGaze III's readout at native resolution, its finalizer, the log density on a grid
losses    negative log likelihood of fixations, entropy of the bias map
engine    ranks, the training loop, checkpoints, the run folder, sweeps
evaluate  metrics, statistics, the evaluation of a sweep
report    tables, figures, one page
"""
