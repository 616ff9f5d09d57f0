"""Where people look regardless of the image: KDE, Gaussian, centre bias and gold standard."""
