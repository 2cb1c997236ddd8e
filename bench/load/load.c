/*
 * Load for any Kafka-compatible broker, with little CPU of its own: C over librdkafka. The same client and the same settings
 * for every broker that is compared. Prints one line of JSON.
 *
 *   load create  -b BOOTSTRAP -t TOPIC -p PARTITIONS
 *   load produce -b BOOTSTRAP -t TOPIC  -S SECONDS | -m MEGABYTES  [-s RECORD_BYTES] [-r RECORDS_PER_SECOND] [-w WARMUP_SECONDS]
 *   load consume -b BOOTSTRAP -t TOPIC [-m MEGABYTES] [-S SECONDS]      from the start, until all is read
 *   load e2e     -b BOOTSTRAP -t TOPIC  -S SECONDS [-r RECORDS_PER_SECOND] [-s RECORD_BYTES] [-w WARMUP_SECONDS]
 *   every mode: -X librdkafka.property=value
 *
 * produce: without -r as fast as the broker takes it. Latency is from the call of produce to the acknowledgement, so with a full
 * client queue it is mostly waiting in that queue; ask for latency with -r.
 * e2e: a paced producer and a consumer in one process; `ack` is produce → acknowledgement, `e2e` is produce → receipt.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- options ---- */
static const char *bootstrap = "127.0.0.1:9092", *topic = "load";
static double megabytes = 0, seconds = 0, rate = 0, warmup = 0;
static size_t record_bytes = 1024;
static int partitions = 16;
static char *properties[64];
static int property_count;

static volatile sig_atomic_t stopping;
static void on_signal(int number) {
  (void)number;
  stopping = 1;
}

static void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(2);
}

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* ---- latencies: log-scaled buckets, 0.5 % wide, from 1 us; each histogram belongs to one thread ---- */
#define BUCKETS 4096
struct histogram {
  uint64_t count[BUCKETS], total;
  int64_t max;
};
static struct histogram ack, e2e;

static void observe(struct histogram *h, int64_t us) {
  if (us < 1) us = 1;
  if (us > h->max) h->max = us;
  int b = (int)(log((double)us) / log(1.005));
  h->count[b < BUCKETS ? b : BUCKETS - 1]++;
  h->total++;
}

static double quantile_ms(const struct histogram *h, double q) {
  uint64_t want = (uint64_t)ceil((double)h->total * q), seen = 0;
  for (int b = 0; b < BUCKETS; b++)
    if ((seen += h->count[b]) >= want && seen > 0) return pow(1.005, b + 0.5) / 1000;
  return h->max / 1000.0;
}

static void print_histogram(const char *name, const struct histogram *h) {
  if (h->total == 0) return;
  printf(",\"%s\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f}", name, quantile_ms(h, .5), quantile_ms(h, .9), quantile_ms(h, .99),
         quantile_ms(h, .999), h->max / 1000.0);
}

/* ---- what happened ---- */
static int64_t window_start, window_end; /* only what is acknowledged or received in here is measured */
static uint64_t records, bytes, all_acked, errors;
static char last_error[256];

static void note_error(const char *text) {
  errors++;
  snprintf(last_error, sizeof last_error, "%s", text);
}

static int in_window(int64_t t) { return t >= window_start && (window_end == 0 || t < window_end); }

static void log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
  static int lines;
  (void)rk;
  if (level <= 4 && lines++ < 8) fprintf(stderr, "%s: %s\n", facility, text);
}

static int count_acked_bytes; /* produce counts at the acknowledgement, e2e at the receipt */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
  (void)rk, (void)opaque;
  if (m->err) {
    note_error(rd_kafka_err2str(m->err));
    return;
  }
  int64_t t = now_us();
  all_acked++;
  if (!in_window(t)) return;
  observe(&ack, t - (int64_t)(intptr_t)m->_private);
  if (count_acked_bytes) records++, bytes += m->len;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *settings[][2]) {
  char text[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text, sizeof text)) fail("%s", text);
  rd_kafka_conf_set_log_cb(conf, log_line);
  for (int i = 0; settings[i][0]; i++)
    if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text)) fail("%s", text);
  for (int i = 0; i < property_count; i++) {
    char *key = strdup(properties[i]), *value = strchr(key, '=');
    if (!value) fail("-X %s: property=value", key);
    *value++ = 0;
    if (rd_kafka_conf_set(conf, key, value, text, sizeof text) == RD_KAFKA_CONF_INVALID) fail("%s", text);
    free(key);
  }
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
  if (!rk) fail("%s", text);
  return rk;
}

/* A topic that was just created may not be known to the broker that is asked: patience for ten seconds. */
static int partition_count(rd_kafka_t *rk) {
  rd_kafka_topic_t *rt = rd_kafka_topic_new(rk, topic, NULL);
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  int count = 0;
  for (int attempt = 0; attempt < 50 && count == 0; attempt++) {
    const struct rd_kafka_metadata *metadata = NULL;
    if (attempt > 0) usleep(200000);
    error = rd_kafka_metadata(rk, 0, rt, &metadata, 15000);
    if (!error && metadata->topic_cnt) count = metadata->topics[0].partition_cnt;
    if (!error) rd_kafka_metadata_destroy(metadata);
  }
  if (count == 0) fail("no topic %s: %s", topic, error ? rd_kafka_err2str(error) : "it has no partitions");
  rd_kafka_topic_destroy(rt);
  return count;
}

/* ---- create ---- */
static int create(void) {
  const char *settings[][2] = {{0, 0}};
  char text[512] = "";
  rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, settings);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
  rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, 1, text, sizeof text);
  if (!wanted) fail("%s", text);
  rd_kafka_CreateTopics(rk, &wanted, 1, NULL, queue);
  rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 60000);
  if (!event) fail("create: no answer");
  if (rd_kafka_event_error(event)) fail("create: %s", rd_kafka_event_error_string(event));
  size_t n = 0;
  const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
  if (n != 1 || rd_kafka_topic_result_error(results[0])) fail("create: %s", n ? rd_kafka_err2str(rd_kafka_topic_result_error(results[0])) : "empty answer");
  return 0;
}

/* ---- produce ---- */
static char *content; /* random, so that nothing on the way can compress it */
static const size_t CONTENT_BYTES = 4 << 20;

static void make_content(void) {
  content = malloc(CONTENT_BYTES + record_bytes + 8);
  uint64_t x = 88172645463325252ULL;
  for (size_t i = 0; i < CONTENT_BYTES + record_bytes; i += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    memcpy(content + i, &x, 8);
  }
}

/* Acknowledgements are taken at once, by a thread of their own: the producing one sleeps or is busy. */
static volatile sig_atomic_t produced_all;
static void *take_acks(void *rk) {
  while (!produced_all) rd_kafka_poll(rk, 50);
  return NULL;
}

static void produce(int stamped) {
  const char *settings[][2] = {{"acks", "all"},
                               {"linger.ms", stamped ? "1" : "5"},
                               {"max.in.flight.requests.per.connection", stamped ? "5" : "20"},
                               {"batch.size", "1000000"},
                               {"queue.buffering.max.messages", record_bytes < 512 ? "400000" : "200000"},
                               {"queue.buffering.max.kbytes", "32768"},
                               {"sticky.partitioning.linger.ms", "10"},
                               {"socket.nagle.disable", "true"},
                               {0, 0}};
  rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, settings);
  int count = partition_count(rk);
  rd_kafka_topic_t *rt = rd_kafka_topic_new(rk, topic, NULL);
  uint64_t wanted = megabytes > 0 ? (uint64_t)(megabytes * 1e6 / (double)record_bytes) : UINT64_MAX;
  char *payload = malloc(record_bytes);
  pthread_t acks;
  pthread_create(&acks, NULL, take_acks, rk);
  int64_t start = now_us(), end = seconds > 0 ? start + (int64_t)(seconds * 1e6) : INT64_MAX;
  window_start = start + (int64_t)(warmup * 1e6);
  window_end = seconds > 0 ? end : 0;
  for (uint64_t i = 0; i < wanted && !stopping; i++) {
    int64_t t = now_us(), due = rate > 0 ? start + (int64_t)((double)i * 1e6 / rate) : 0;
    if (t < due) usleep((useconds_t)(due - t)), t = now_us();
    if (t >= end) break;
    char *source = content + (i * 61) % CONTENT_BYTES;
    if (stamped) memcpy(payload, source, record_bytes), memcpy(payload, &t, sizeof t), source = payload;
    int32_t partition = (int32_t)((rate > 0 ? i : i / 64) % (uint64_t)count);
    while (rd_kafka_produce(rt, partition, RD_KAFKA_MSG_F_COPY, source, record_bytes, NULL, 0, (void *)(intptr_t)t)) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        note_error(rd_kafka_err2str(rd_kafka_last_error()));
        break;
      }
      usleep(1000);
      t = now_us();
      if (t >= end || stopping) break;
    }
  }
  produced_all = 1;
  pthread_join(acks, NULL);
  rd_kafka_flush(rk, stopping ? 3000 : 120000);
  if (rd_kafka_outq_len(rk) > 0) note_error("records neither acknowledged nor failed at the end");
  if (window_end == 0) window_end = now_us();
  rd_kafka_topic_destroy(rt);
  rd_kafka_destroy(rk);
}

/* ---- consume ---- */
static int from_end; /* e2e: only what comes from now on */
static volatile sig_atomic_t consumer_ready, producer_done;

static rd_kafka_topic_partition_list_t *positions(rd_kafka_t *rk, int count) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
  for (int i = 0; i < count; i++) {
    rd_kafka_topic_partition_t *each = rd_kafka_topic_partition_list_add(list, topic, i);
    int64_t low = 0, high = 0;
    each->offset = RD_KAFKA_OFFSET_BEGINNING;
    if (!from_end) continue;
    if (rd_kafka_query_watermark_offsets(rk, topic, i, &low, &high, 10000)) fail("no end offset of %s-%d", topic, i);
    each->offset = high;
  }
  return list;
}

static void consume(void) {
  /* The group only names the client: partitions are assigned by hand and nothing is committed. */
  const char *settings[][2] = {{"group.id", "load"},           {"enable.auto.commit", "false"},   {"fetch.message.max.bytes", "4000000"},
                               {"queued.min.messages", "100000"}, {"fetch.wait.max.ms", "100"}, {"enable.partition.eof", "true"},
                               {"check.crcs", "false"},         {0, 0}};
  rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, settings);
  int count = partition_count(rk), open_partitions = count;
  rd_kafka_poll_set_consumer(rk);
  rd_kafka_topic_partition_list_t *list = positions(rk, count);
  rd_kafka_assign(rk, list);
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
  char *ended = calloc((size_t)count, 1);
  enum { BATCH = 1000 };
  rd_kafka_message_t *batch[BATCH];
  uint64_t wanted = megabytes > 0 ? (uint64_t)(megabytes * 1e6) : UINT64_MAX, received = 0;
  int64_t start = now_us(), last = start;
  if (!from_end) window_start = start;
  consumer_ready = 1;
  while (!stopping && bytes < wanted) {
    /* A batch call waits until the batch is full or its time is over: good for throughput, wrong for latency. */
    ssize_t n = from_end ? (batch[0] = rd_kafka_consumer_poll(rk, 100)) != NULL : rd_kafka_consume_batch_queue(queue, 50, batch, BATCH);
    int64_t t = now_us();
    for (ssize_t i = 0; i < n; i++) {
      rd_kafka_message_t *m = batch[i];
      if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (!ended[m->partition]) ended[m->partition] = 1, open_partitions--;
      } else if (m->err) {
        note_error(rd_kafka_message_errstr(m));
      } else {
        received++;
        last = t;
        if (!from_end || in_window(t)) records++, bytes += m->len;
        if (from_end && in_window(t)) {
          int64_t sent;
          memcpy(&sent, m->payload, sizeof sent);
          observe(&e2e, t - sent);
        }
      }
      rd_kafka_message_destroy(m);
    }
    if (errors > 200) break;
    if (from_end ? producer_done && (received >= all_acked || t - last > 10000000) : open_partitions == 0) break;
    if (!from_end && (t - last > 30000000 || (seconds > 0 && t - start > (int64_t)(seconds * 1e6)))) {
      if (t - last > 30000000) note_error("nothing received for 30 s");
      break;
    }
  }
  if (from_end && producer_done && received < all_acked) note_error("acknowledged records were not received");
  if (!from_end) window_end = last > start ? last : start + 1;
  free(ended);
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(rk);
  rd_kafka_destroy(rk);
}

static void *consume_thread(void *unused) {
  consume();
  return unused;
}

static void end_to_end(void) {
  pthread_t consumer;
  from_end = 1;
  window_start = INT64_MAX;
  if (rate <= 0) rate = 1000;
  pthread_create(&consumer, NULL, consume_thread, NULL);
  while (!consumer_ready) usleep(10000);
  sleep(1); /* the consumer's first fetches wait at the broker */
  produce(1);
  producer_done = 1;
  pthread_join(consumer, NULL);
}

int main(int argc, char **argv) {
  if (argc < 2) fail("usage: load create|produce|consume|e2e -b BOOTSTRAP -t TOPIC …");
  const char *mode = argv[1];
  optind = 2;
  for (int option; (option = getopt(argc, argv, "b:t:m:s:r:p:S:w:X:")) != -1;) {
    switch (option) {
      case 'b': bootstrap = optarg; break;
      case 't': topic = optarg; break;
      case 'm': megabytes = atof(optarg); break;
      case 's': record_bytes = (size_t)atol(optarg); break;
      case 'r': rate = atof(optarg); break;
      case 'p': partitions = atoi(optarg); break;
      case 'S': seconds = atof(optarg); break;
      case 'w': warmup = atof(optarg); break;
      case 'X':
        if (property_count == 64) fail("too many -X");
        properties[property_count++] = optarg;
        break;
      default: return 2;
    }
  }
  if (record_bytes < 8) fail("-s: at least 8 bytes");
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  if (!strcmp(mode, "create")) return create();
  make_content();
  if (!strcmp(mode, "produce")) count_acked_bytes = 1, produce(0);
  else if (!strcmp(mode, "consume")) consume();
  else if (!strcmp(mode, "e2e")) end_to_end();
  else fail("unknown mode %s", mode);

  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  double span = (double)(window_end - window_start) / 1e6;
  printf("{\"mode\":\"%s\",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.3f,\"mbPerSecond\":%.2f,\"recordsPerSecond\":%.0f,\"acked\":%" PRIu64 ",\"errors\":%" PRIu64, mode,
         records, bytes, span, (double)bytes / 1e6 / span, (double)records / span, all_acked, errors);
  print_histogram("ack", &ack);
  print_histogram("e2e", &e2e);
  printf(",\"clientCpuSeconds\":%.2f", cpu);
  if (errors) {
    for (char *c = last_error; *c; c++)
      if (*c == '"' || *c == '\\' || (unsigned char)*c < 32) *c = ' ';
    printf(",\"error\":\"%s\"", last_error);
  }
  printf("}\n");
  return errors ? 1 : 0;
}
