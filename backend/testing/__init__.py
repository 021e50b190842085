"""What the tests run on: servers of their own, a database per process, whole stacks."""
