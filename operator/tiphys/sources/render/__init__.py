"""From the files of a commit to the JSON of objects, one module for each step and tool.

``request`` says what is asked and answered, ``files`` is what a render may read (and remembers what
it read), ``detection`` finds the tool, ``directory``, ``kustomize*`` and ``helm*`` each make a
``Plan``: everything the render depends on, as key parts, and the work itself. ``sources.rendering``
puts them together with caches and limits.
"""
