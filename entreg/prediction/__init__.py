"""The prediction of where people look in any image, by a finished training, in Python and as files."""
