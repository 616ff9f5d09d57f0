"""The features of images: the frozen backbone, and the stores that keep what it computes."""
