"""Kafka to MySQL: one applier process per side. Read pipeline.py first."""
