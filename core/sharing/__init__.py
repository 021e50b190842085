"""Records and saved views that are shared with a user or a team, to be read or changed.

What a share gives the right to is the policies' part (core.access), as everything that one may do is.
"""
