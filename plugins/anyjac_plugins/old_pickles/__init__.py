"""Names that stand in pickles made before the modules stood in rooms. Reads public names; nobody else imports it.

`anyjac_plugins` looks for its modules in this folder too, so that each file here is found under the name of a module of
then, such as ``anyjac_plugins.registry``.
"""
