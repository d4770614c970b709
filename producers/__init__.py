"""Binlog to Kafka: one producer process per side. Read pipeline.py first."""
