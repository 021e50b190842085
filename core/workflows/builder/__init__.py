"""The form that workflows are written in, in the admin site.

What stands in the form is a draft: nested dicts of texts, named by paths with dots (`actions.0.params.tag`),
as a browser sends them. `shapes` says how each value stands in one, `drafts` makes one of a definition and
the other way round, `page` draws one, `view` answers requests. What a definition holds that the form has no
inputs for stands in it as JSON, is shown in words and kept as it is. The API's serializer alone checks what
is saved.
"""
