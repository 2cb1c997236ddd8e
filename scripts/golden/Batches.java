import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ScheduledFuture;
import java.util.function.Supplier;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.requests.ProduceResponse.RecordError;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.common.RequestLocal;
import org.apache.kafka.server.storage.log.FetchIsolation;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogAppendInfo;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;
import org.apache.kafka.storage.internals.log.ProducerStateManagerConfig;
import org.apache.kafka.storage.internals.log.RecordValidationException;
import org.apache.kafka.storage.internals.log.UnifiedLog;
import org.apache.kafka.storage.internals.log.VerificationGuard;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

/**
 * What Apache Kafka makes of record batches.
 *
 * `judge NOW`: lines of `name, topic settings, batches in hex` (tabs; settings `key=value;…`, batches with commas) come in on
 * standard input; each is produced to a log of its own, and a line of JSON says how each batch ended and what was stored.
 * `write`: batches of the same records in every codec, one line of JSON each.
 */
public final class Batches {
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        if (args[0].equals("write")) write(out);
        else judge(out, Long.parseLong(args[1]));
        out.flush();
        System.exit(0);
    }

    private static void judge(PrintStream out, long now) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String[] fields = line.split("\t", -1);
            File folder = new File(Files.createTempDirectory("judge").toFile(), "t-0");
            folder.mkdirs();
            UnifiedLog log = open(folder, fields[1], now);
            List<String> outcomes = new ArrayList<>();
            for (String hex : fields[2].split(",", -1)) outcomes.add(append(log, HEX.parseHex(hex)));
            out.println("{\"name\":\"" + fields[0] + "\",\"outcomes\":[" + String.join(",", outcomes) + "],\"stored\":\"" + stored(log) + "\"}");
        }
    }

    private static UnifiedLog open(File folder, String settings, long now) throws Exception {
        Properties properties = new Properties();
        properties.put("segment.index.bytes", "4096");
        for (String setting : settings.split(";")) {
            if (setting.isEmpty()) continue;
            String[] pair = setting.split("=", 2);
            properties.put(pair[0], pair[1]);
        }
        return UnifiedLog.create(folder, new LogConfig(properties), 0, 0, new NoScheduler(), new BrokerTopicStats(), new FixedTime(now), 900_000,
            new ProducerStateManagerConfig(86_400_000, false), 600_000, new LogDirFailureChannel(10), true, Optional.empty());
    }

    /** As KafkaApis and ReplicaManager do. */
    private static String append(UnifiedLog log, byte[] bytes) {
        try {
            MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes.clone()));
            ProduceRequest.validateRecords((short) 12, records);
            long end = log.logEndOffset();
            LogAppendInfo info = log.appendAsLeader(records, 0, AppendOrigin.CLIENT, RequestLocal.noCaching(), VerificationGuard.SENTINEL, (short) 0);
            String kind = log.logEndOffset() == end ? "duplicate" : "appended";
            return "{\"kind\":\"" + kind + "\",\"firstOffset\":" + info.firstOffset() + ",\"lastOffset\":" + info.lastOffset() + "}";
        } catch (RecordValidationException e) {
            StringBuilder places = new StringBuilder();
            for (RecordError error : e.recordErrors()) places.append(places.length() == 0 ? "" : ",").append(error.batchIndex);
            return "{\"kind\":\"rejected\",\"error\":\"" + Errors.forException(e.invalidException()) + "\",\"records\":[" + places + "]}";
        } catch (Throwable e) {
            return "{\"kind\":\"rejected\",\"error\":\"" + Errors.forException(e) + "\"}";
        }
    }

    private static String stored(UnifiedLog log) throws Exception {
        if (log.logEndOffset() == 0) return "";
        var records = log.read(0, 1 << 26, FetchIsolation.LOG_END, true).records;
        ByteBuffer buffer = ByteBuffer.allocate(records.sizeInBytes());
        ((org.apache.kafka.common.record.internal.FileRecords) records).readInto(buffer, 0);
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return HEX.formatHex(bytes);
    }

    private static void write(PrintStream out) {
        for (CompressionType type : CompressionType.values()) {
            for (int count : new int[] {1, 3, 400}) {
                SimpleRecord[] records = new SimpleRecord[count];
                for (int i = 0; i < count; i++) records[i] = record(i);
                MemoryRecords batch = MemoryRecords.withRecords((byte) 2, 1_000_000_000_000L, Compression.of(type).build(), TimestampType.CREATE_TIME,
                    77, (short) 3, Integer.MAX_VALUE - 1, 5, true, records);
                ByteBuffer buffer = batch.buffer().duplicate();
                byte[] bytes = new byte[buffer.remaining()];
                buffer.get(bytes);
                out.println("{\"codec\":\"" + (type.name.equals("none") ? "uncompressed" : type.name) + "\",\"count\":" + count + ",\"batch\":\"" + HEX.formatHex(bytes) + "\"}");
            }
        }
    }

    /** The test makes the same. */
    private static SimpleRecord record(int i) {
        byte[] key = i % 3 == 2 ? null : ("key-" + i).getBytes(StandardCharsets.UTF_8);
        byte[] value = i % 7 == 6 ? null : ("value ".repeat(i % 50) + i).getBytes(StandardCharsets.UTF_8);
        Header[] headers = new Header[i % 4];
        for (int h = 0; h < headers.length; h++) headers[h] = new RecordHeader("header-é-" + h, h == 2 ? null : new byte[] {(byte) h, (byte) i});
        return new SimpleRecord(1_700_000_000_000L + (i % 5) * 1000L - i, key, value, headers);
    }

    private record FixedTime(long now) implements Time {
        @Override public long milliseconds() { return now; }
        @Override public long nanoseconds() { return now * 1_000_000; }
        @Override public void sleep(long ms) { throw new UnsupportedOperationException(); }
        @Override public void waitObject(Object object, Supplier<Boolean> condition, long deadline) { throw new UnsupportedOperationException(); }
    }

    private static final class NoScheduler implements Scheduler {
        @Override public void startup() { }
        @Override public void shutdown() { }
        @Override public ScheduledFuture<?> schedule(String name, Runnable task, long delayMs, long periodMs) { return null; }
        @Override public void resizeThreadPool(int newSize) { }
    }
}
