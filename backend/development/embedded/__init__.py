"""PostgreSQL and Valkey from Python wheels, for machines that have neither.

The servers listen on 127.0.0.1 only, ask for a random password, keep their files under the data folder and
outlive the command that started them; `manage.py services stop` (and the end of `make run`) stops them.
Nothing here knows Django, and nothing starts by being imported.
"""
