"""Tables of fixations: how their text is read, what their columns mean, and what makes one fixation of their rows."""
