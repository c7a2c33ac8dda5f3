"""Tokens that stand for other credentials of Git over HTTPS (``sources.md`` 18.4).

A GitHub App's key, a Google service account's key and Azure's identities are no passwords: they are
shown to an issuer, who gives a token for an hour. ``kinds`` says which one a repository uses;
``github``, ``google`` and ``azure`` know the issuers, ``asking`` how one is asked; ``keeping`` keeps the
tokens and gives a repository with the token where git takes a password.
"""

from tiphys.sources.git.tokens.keeping import Tokens

__all__ = ["Tokens"]
