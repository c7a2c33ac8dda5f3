"""Texts and conditions that users write: Go templates, FT strings, and expressions.

``gotemplate`` is Go's ``text/template``; ``sprig`` the functions that templates may call;
``fasttemplate`` the older ``{{name}}`` replacement; ``expr`` the language of ``if:`` and ``when:``.
All of it is pure and bounded: a template or an expression can fail, but can neither hang nor eat the
process, and reaches nothing but the data and the functions it is given.
"""
