"""The evaluation of finished trainings: scores, their uncertainty, what a difference is made of, and the results."""
