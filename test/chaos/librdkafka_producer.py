"""An idempotent librdkafka producer at a steady rate, until standard input ends; each record's fate goes out as a JSON line."""

import json
import sys
import threading
import time

from confluent_kafka import KafkaError, Producer

order = json.loads(sys.stdin.readline())
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()


def now_ms():
    return time.monotonic_ns() / 1e6


def say(**what):
    print(json.dumps(what), flush=True)


def on_error(error):
    say(error=str(error), fatal=error.fatal())


def filling(value):
    text = f"{value}:"
    fill = str(value)
    width = 12 + (value * 7919) % 90
    return (text + fill * width)[: max(width, len(text))].encode()


producer = Producer(
    {
        "bootstrap.servers": order["bootstrap"],
        "enable.idempotence": True,
        "linger.ms": 5,
        "message.timeout.ms": order["timeoutMs"],
        "socket.timeout.ms": 8000,
        "retry.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "topic.metadata.refresh.interval.ms": 30000,
        "log_level": 2,
        "error_cb": on_error,
    }
)
timestamp = int(time.time() * 1000)
orders = [0] * order["partitions"]
value = order["firstValue"]
while not ended.is_set():
    partition = value % order["partitions"]
    orders[partition] += 1

    def on_delivery(error, message, value=value, partition=partition, place=orders[partition], t0=now_ms()):
        if error is None:
            say(value=value, partition=partition, order=place, t0=t0, t1=now_ms(), offset=message.offset())
        else:
            say(value=value, partition=partition, order=place, t0=t0, t1=now_ms(), failed=str(error))

    try:
        producer.produce(order["topic"], value=filling(value), partition=partition, timestamp=timestamp, on_delivery=on_delivery)
    except BufferError:
        orders[partition] -= 1
        producer.poll(0.1)
        continue
    value += 1
    producer.poll(order["gapMs"] / 1000)
say(left=producer.flush(order["timeoutMs"] / 1000 + 10))
