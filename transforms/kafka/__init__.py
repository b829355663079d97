"""Kafka without Java: the splittable reader, its positions and clients, and Confluent's schema registry."""
