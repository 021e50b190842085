"""Signing in at an identity provider (OpenID Connect 1.0, authorization code flow with PKCE).

Authlib and joserfc speak the protocol; here stands whose sign-in it is. `provider` talks to the provider,
`identities` finds or makes the user, `views` are the pages in between and what an app exchanges for tokens.
"""
