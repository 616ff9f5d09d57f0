"""Measurements of the project's speed, memory and exactness on generated images.

    python -m benchmarks            all figures but the study's, a few minutes; writes bench/bench.json, growth.png and
                                    README's table, and prints which figures fall short of their aims
    python -m benchmarks --study    a whole study at MIT1003's size through train.py; adds its minutes to bench.json
    python -m benchmarks --beyond-memory    a training whose store is larger than the memory; needs that much disk

generated.py    images, features and a study without a data set
plain.py        the training step as published: with the backbone and full resolution in every step
exactness.py    differences from the published step, in nats and bits
against.py      speed compared with that of commit ae4a8f4: python -m benchmarks --against FOLDER
commands.py     the commands of train.py among it
long_commands.py  what takes minutes of it: python -m benchmarks --against FOLDER --study
figures.py      what the figures mean, and their aims
preview.py      the time of a preview
tables.py       reading a table of fixations
speed.py        times, each measured in turns with what it is compared to
growth.py       memory and time as functions of images and epochs
shared.py       speed beside busy processes
fingerprints.py the fingerprint of a large data set
fresh.py        measurements in new processes
study.py        the whole study
golden.py       golden vectors of the published model, compared with this one: python -m benchmarks.golden FILE.npz
"""
