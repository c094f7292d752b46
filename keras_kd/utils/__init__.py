"""What every room needs and no room owns: files, run folders, identities, statistics, progress.

Nothing here knows a network or a dataset.
"""
