"""Writes or reads records as an order says (JSON, the first line of standard input); what was read goes out as JSON lines."""

import json
import sys
import time

order = json.loads(sys.stdin.readline())
deadline = time.monotonic() + 60


def emit(topic, partition, offset, timestamp, headers, key, value):
    pairs = [[k, v.decode()] for k, v in headers or []]
    record = dict(topic=topic, partition=partition, offset=offset, timestampMs=timestamp, headers=pairs, key=key.decode(), value=value.decode())
    print(json.dumps(record))


def check_time(what):
    if time.monotonic() > deadline:
        raise SystemExit(f"{what}: not done in time")


def kafka_python_write():
    from kafka import KafkaProducer

    compression = None if order["compression"] == "none" else order["compression"]
    producer = KafkaProducer(bootstrap_servers=order["bootstrap"], acks="all", compression_type=compression)
    headers = [(k, v.encode()) for k, v in order["headers"]]
    futures = [
        producer.send(order["topic"], key=r["key"].encode(), value=r["value"].encode(), headers=headers, timestamp_ms=r["timestampMs"])
        for r in order["records"]
    ]
    for future in futures:
        future.get(timeout=30)
    producer.close()


def kafka_python_read():
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(*order["topics"], bootstrap_servers=order["bootstrap"], group_id=f"kafka-python-{time.time()}", auto_offset_reset="earliest")
    left = order["count"]
    while left > 0:
        check_time("kafka-python")
        for records in consumer.poll(timeout_ms=500).values():
            for r in records:
                emit(r.topic, r.partition, r.offset, r.timestamp, r.headers, r.key, r.value)
                left -= 1
    consumer.close()


def confluent_kafka_write():
    from confluent_kafka import Producer

    failures = []
    producer = Producer({"bootstrap.servers": order["bootstrap"], "acks": "all", "compression.type": order["compression"], "linger.ms": 20, "enable.idempotence": True})
    for r in order["records"]:
        producer.produce(
            order["topic"],
            key=r["key"].encode(),
            value=r["value"].encode(),
            headers=[(k, v.encode()) for k, v in order["headers"]],
            timestamp=r["timestampMs"],
            on_delivery=lambda error, _: failures.append(str(error)) if error else None,
        )
    if producer.flush(30) > 0 or failures:
        raise SystemExit(f"not acknowledged: {failures[:3]}")


def confluent_kafka_lines():
    from confluent_kafka import Producer

    failures = []
    producer = Producer({"bootstrap.servers": order["bootstrap"], "acks": "all", "compression.type": "lz4", "linger.ms": 20})
    report = lambda error, _: failures.append(str(error)) if error else None
    with open(order["file"], "rb") as lines:
        for line in lines:
            value = line.rstrip(b"\n")
            while True:
                try:
                    producer.produce(order["topic"], value=value, on_delivery=report)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
    if producer.flush(60) > 0 or failures:
        raise SystemExit(f"not acknowledged: {failures[:3]}")


def confluent_kafka_sustain():
    """Produces numbered values until standard input ends; tells how many were sent and which were acknowledged."""
    import threading
    from confluent_kafka import Producer

    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    settings = {"enable.idempotence": True, "linger.ms": 2, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20}
    producer = Producer({"bootstrap.servers": order["bootstrap"], "log_level": 2, **settings})
    acknowledged = []
    number = 0
    while not ended.is_set():
        report = lambda error, _, number=number: None if error else acknowledged.append(number)
        try:
            producer.produce(order["topic"], partition=number % order["partitions"], key=b"k", value=f"{order['name']}/{number}".encode(), on_delivery=report)
            number += 1
        except BufferError:
            pass
        producer.poll(0.0005 if number % 20 == 0 else 0)
    if producer.flush(60) > 0:
        raise SystemExit("records neither acknowledged nor failed after a minute")
    print(json.dumps(dict(sent=number, acknowledged=acknowledged)))


def confluent_kafka_read():
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": order["bootstrap"], "group.id": f"confluent-{time.time()}", "auto.offset.reset": "earliest", "check.crcs": True})
    consumer.subscribe(order["topics"])
    left = order["count"]
    while left > 0:
        check_time("confluent-kafka")
        for m in consumer.consume(500, timeout=0.5):
            if m.error():
                raise SystemExit(str(m.error()))
            emit(m.topic(), m.partition(), m.offset(), m.timestamp()[1], m.headers(), m.key(), m.value())
            left -= 1
    consumer.close()


globals()[f"{order['library'].replace('-', '_')}_{order['do']}"]()
