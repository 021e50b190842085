"""What the tests run on: servers of their own, a database per test process, whole stacks for black-box tests."""
