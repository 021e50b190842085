"""SCIM 2.0 (RFC 7643, RFC 7644): an identity provider makes, changes and deactivates users, and pushes
groups.

scim2-server and scim2-models speak the protocol; here stands what its resources are in the CRM. `resources`
declares what is served, `storage` reads and writes it, `people` and `groups` are users and groups as rows,
`filters` are conditions of a list, `views` lets in who may. The libraries are imported with the first
request.
"""
