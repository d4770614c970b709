"""`verify`: both sides compared by checksums that their servers compute, and one made like the other. Start with run.py."""
