"""The OpenAPI 2.0 document of the REST API, made of what the services declare.

``document`` walks over methods and routes, ``definitions`` describes messages (types, docstrings),
``parameters`` what a route takes from path and query, ``declared`` finds the methods without building
a server. Names are those of the reference's document, because clients are generated from it:
operations ``ApplicationService_List``, definitions ``v1alpha1Application``. Types are what is really
sent: numbers are numbers, inlined fields are inlined (docs/differences.md).
"""
