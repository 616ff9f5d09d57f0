"""What the project claims about speed, memory and exactness, measured on generated images.

    python -m benchmarks            every figure but the study's, a few minutes; writes bench/bench.json and growth.png
    python -m benchmarks --study    a whole study at MIT1003's size through train.py; adds its minutes to bench.json
    python -m benchmarks --beyond-memory    a training whose store is larger than the memory; needs that much disk

generated.py    images, features and a study without a data set
plain.py        the training step as published: backbone and full resolution each time
exactness.py    differences from it, in nats and bits
against.py      steps against those of commit f7f6b1e: python -m benchmarks --against FOLDER
speed.py        times, each measured by turns with what it is compared to
growth.py       memory and time against images and epochs
shared.py       speed beside busy processes
fresh.py        processes in which nothing was computed before
study.py        the whole study
golden.py       golden vectors of the published model, held against the project's: python -m benchmarks.golden FILE.npz
"""
