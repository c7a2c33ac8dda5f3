"""Lists and watches that encode each object once, however many clients ask.

``fragments`` holds the encoded form of every object of a store, made when first asked for and kept
until the object changes; ``fanout`` tells subscribers of changes and shares one encoding among them;
``catalog`` finds the objects that a list asks for without looking at the others. Knows stores and
encodings; who may see what is decided by the services.
"""
