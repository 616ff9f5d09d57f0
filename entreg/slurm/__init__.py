"""What SLURM says and refuses, asked by its own commands; nothing here needs accounting, a database or a package."""
