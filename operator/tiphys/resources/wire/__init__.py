"""The protobuf form of the API's messages.

A message is defined once, by its struct. What the struct cannot say, above all the field numbers,
stands in ``numbers.yaml``. ``table`` reads that file, ``fields`` joins it with the structs,
``descriptors`` makes protobuf descriptors of the result, ``converting`` turns structs into messages
of the protobuf runtime and back, and ``codec`` is what everybody else calls.

Nothing is read before the first message is encoded or a descriptor is asked for, so a process without
an API server pays nothing.
"""
