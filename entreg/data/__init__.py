"""Data sets: reading, resizing and splitting them."""
