"""Records of one entity that are the same: found, made one, and taken apart again.

combining.py   what the one record holds, column by column
relations.py   what hangs on records, found in the models, moved set at a time
merging.py     the merge
unmerging.py   taking one back

and records that may be the same, which are found by the rules:

reasons.py       what two of them agree in, and how sure that is
finding.py       pairs of them, found in the background as records change
dismissals.py    what is dismissed of records that are merged
groups.py        the groups that pairs make: who sees them, what is dismissed
bulk_merging.py  merging groups that are exactly the same
possible.py      what one record may be the same as
groups_page.py   their page in the admin site
"""
