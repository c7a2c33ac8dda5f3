"""ApplicationSetService (api.md 7, 9, 10; applicationset.md 26).

``rules`` says which sets the API takes (pure), ``writing`` stores them, ``service`` has the methods
and ``watching`` the stream. What a set generates is the ApplicationSet controller's business.
"""
