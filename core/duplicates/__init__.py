"""Records of one entity that are the same: made one, and taken apart again.

combining.py   what the one record holds, column by column
relations.py   what hangs on records, found in the models, moved set at a time
merging.py     the merge
unmerging.py   taking one back
"""
