"""`python -m entreg` does what the command `entreg` does."""

from entreg.cli import main

if __name__ == "__main__":
    main()
