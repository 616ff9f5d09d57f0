"""What `import entreg` offers to scripts and notebooks, each function in a module of its name.

It stands above the command line, whose composition and jobs it uses: a run that is begun here is that of the same words
typed there, and either goes on with it.
"""
