"""The wire contract: values, Avro schemas, framing and topic names that both ends share."""
