"""Help for the tests of other projects: the pytest plugin, `mxref.testing.plugin`."""
