"""Reads and writes Kafka as another team would: Confluent's client, its Avro decoder, and the registry.

    client.py read BROKERS REGISTRY TOPIC...    prints one JSON object a record
    client.py publish BROKERS FILE              FILE has one JSON object a record
"""

import json
import sys

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def read(brokers, registry, *topics):
    """Every committed record of the topics, decoded by the schema that the registry has for it."""
    decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "outside",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    known = consumer.list_topics(timeout=10).topics
    places = [TopicPartition(topic, index, 0) for topic in topics for index in known[topic].partitions]
    consumer.assign(places)
    left = {(place.topic, place.partition) for place in places}
    while left:
        record = consumer.poll(10)
        if record is None:
            sys.exit(f"nothing came from {left}")
        if record.error():
            if record.error().code() != KafkaError._PARTITION_EOF:
                sys.exit(str(record.error()))
            left.discard((record.topic(), record.partition()))
            continue
        value = decode(record.value(), SerializationContext(record.topic(), MessageField.VALUE))
        shown = {
            "topic": record.topic(),
            "partition": record.partition(),
            "offset": record.offset(),
            "key": record.key().decode(),
            "headers": {name: value.decode() for name, value in record.headers() or []},
            "value": value,
        }
        print(json.dumps(shown))
    consumer.close()


def publish(brokers, file):
    """Each line has a topic, a value (text, or bytes as `hex`), and perhaps a key and headers."""
    producer = Producer({"bootstrap.servers": brokers, "acks": "all"})
    failed = []
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            value = bytes.fromhex(record["hex"]) if "hex" in record else record["value"].encode()
            producer.produce(
                record["topic"],
                key=record.get("key"),
                value=value,
                headers=record.get("headers"),
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
    left = producer.flush(10)
    if failed or left:
        sys.exit(f"{left} records were not reported, and these failed: {failed}")


if __name__ == "__main__":
    {"read": read, "publish": publish}[sys.argv[1]](*sys.argv[2:])
