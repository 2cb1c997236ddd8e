"""
Consumer groups of one librdkafka member each, with its default settings, that read one topic and commit all the time. Says each step as a JSON
line with the wall clock in milliseconds. Ends when standard input does, after a look at whether all committed offsets are there.
"""

import json
import sys
import threading
import time

from confluent_kafka import Consumer, TopicPartition

order = json.loads(sys.stdin.readline())
ending = threading.Event()
COMMIT_EVERY_S = 0.1
POLL_S = 0.05


def emit(kind, group, partition=-1, text=""):
    sys.stdout.write(json.dumps({"atMs": time.time() * 1000, "kind": kind, "group": group, "partition": partition, "text": text}) + "\n")
    sys.stdout.flush()


class Member:
    def __init__(self, group):
        self.group = group
        self.positions = {}
        self.committed = {}
        self.last_commit = 0.0
        settings = {"bootstrap.servers": order["bootstrap"], "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, "log_level": 2}
        self.consumer = Consumer({**settings, "on_commit": self.on_commit, "error_cb": lambda error: None})
        self.consumer.subscribe([order["topic"]])

    def on_commit(self, error, partitions):
        if error is not None:
            return
        done = [p for p in partitions if p.error is None and p.offset >= 0]
        for p in done:
            self.committed[p.partition] = max(self.committed.get(p.partition, 0), p.offset)
        if done:
            emit("commit", self.group)

    def run(self):
        while not ending.is_set():
            self.take(self.consumer.consume(num_messages=200, timeout=POLL_S))
            if self.positions and time.monotonic() - self.last_commit >= COMMIT_EVERY_S:
                self.last_commit = time.monotonic()
                self.consumer.commit(offsets=[TopicPartition(order["topic"], p, o) for p, o in self.positions.items()], asynchronous=True)
        for p in self.consumer.committed([TopicPartition(order["topic"], p) for p in self.committed], timeout=30):
            if p.offset < self.committed[p.partition]:
                emit("fault", self.group, p.partition, f"offset {self.committed[p.partition]} was committed, {p.offset} is left")
        self.consumer.close()

    def take(self, messages):
        seen = set()
        for message in messages:
            if message.error():
                continue
            partition, offset = message.partition(), message.offset()
            due = self.positions.get(partition, 0)
            if offset > due:
                emit("fault", self.group, partition, f"offset {offset} came where {due} was due")
            self.positions[partition] = offset + 1
            seen.add(partition)
        for partition in seen:
            emit("progress", self.group, partition)


threads = [threading.Thread(target=Member(f"librdkafka-{index}").run) for index in range(order["groups"])]
for thread in threads:
    thread.start()
sys.stdin.read()
ending.set()
for thread in threads:
    thread.join()
