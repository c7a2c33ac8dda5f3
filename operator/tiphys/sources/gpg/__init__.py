"""OpenPGP by the real ``gpg``, each time in a home of its own: nobody's keys or agents are touched.

``running`` starts it, ``keys`` says which public keys a text holds, ``keyrings`` keeps a keyring for
each set of trusted keys, ``signatures`` reads what it says of a signature (``sources.md`` 19, 20).
"""
