"""A direction from nothing to in sync: what of the source is made at the target before the stream is followed."""
