"""Recovery from Kafka: what a side's stream holds is applied once more, to the other side (`replay`) or to itself (`recover`)."""
