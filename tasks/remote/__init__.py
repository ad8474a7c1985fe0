"""What comes from outside: pins, downloads checked by sha256, archives read with care."""
