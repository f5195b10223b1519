"""The rules, by what they look at; byoc.check.table has them all."""
