"""Checks of data sets as they were read: a wrong frame of x and y, or a wrong kind of map, never passes silently.

check.py              findings(dataset) returns what is implausible, checked(dataset, settings) refuses what is not
                      accepted
wrong_frames.py       x and y from the centre, swapped, on a screen, in turned or enlarged images
small_coordinates.py  x and y in shares, in degrees, in smaller images
repeated_points.py    many points at (0, 0) or at one place
maps_and_samples.py   blurred maps, samples of gaze
"""
