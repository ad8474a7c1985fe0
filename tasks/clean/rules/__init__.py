"""What may one record be changed for, or dropped, without a look at the others?

Each is off until its setting asks for it, and hashed for the rows alone that do.

- ``boilerplate``, ``personal_data``: lines left out, data masked;
- ``languages``, ``quality``: texts that do not belong here;
- ``blank``: images that show nothing.
"""
