"""The browser's side of logging in and out: ``/auth/…`` and the way to Dex (api.md 11, 12).

``routes`` has the pages, ``dex_proxy`` passes ``/api/dex/…`` on. What a login is lives in
``access.oidc``; here are requests, cookies and redirects.
"""
