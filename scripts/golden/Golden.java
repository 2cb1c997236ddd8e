// Fills every message of our schema, in every version, with values from a fixed seed, by Apache Kafka's own generated classes, and prints
// one JSON line a sample: {"message","version","hex","json"}. `json` holds the fields that were set, in the form of Kafka's *JsonConverter
// classes (bytes in base64). Run by scripts/protocol-golden.sh.
// Arguments: a file with the names of our messages, one a line; the folder of the jars.

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HexFormat;
import java.util.Random;
import java.util.TreeMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;

public final class Golden {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final ObjectMapper MAPPER = new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);
    private static final String[] PACKAGES = {
        "org.apache.kafka.common.message.",
        "org.apache.kafka.coordinator.group.generated.",
        "org.apache.kafka.coordinator.share.generated.",
        "org.apache.kafka.coordinator.transaction.generated.",
        "org.apache.kafka.raft.generated.",
    };
    private static final long[] INT64 = {
        0, 1, -1, (1L << 31) - 1, 1L << 31, -(1L << 31) - 1, (1L << 32) - 1, 1L << 32, -(1L << 32), (1L << 32) + 1,
        (1L << 53) - 1, 1L << 53, -(1L << 53) + 1, Long.MAX_VALUE, Long.MIN_VALUE, 1700000000123L,
    };
    private static final int[] INT32 = {0, 1, -1, 127, 128, -129, 65535, 65536, Integer.MAX_VALUE, Integer.MIN_VALUE};
    private static final String[] STRINGS = {"", "a", "orders", "größe", "日本語", "😀 smile", "x\u0000y"};

    /** Empty: as little as the version allows. Full: everything set. Mixed: nulls, empty and set ones as the seed says. */
    private enum Shape { EMPTY, FULL, MIXED }

    private final Random random;
    private final Shape shape;
    private final JsonNode message;
    private final int version;

    private Golden(JsonNode message, int version, Shape shape) {
        this.message = message;
        this.version = version;
        this.shape = shape;
        this.random = new Random((message.get("name").asText() + version + shape).hashCode());
    }

    public static void main(String[] args) throws Exception {
        TreeMap<String, JsonNode> schemas = readSchemas(new File(args[1]));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String name : Files.readAllLines(Path.of(args[0]))) {
            JsonNode schema = schemas.get(name);
            if (schema == null) throw new IllegalStateException("no jar has a schema of " + name);
            int[] valid = range(schema.get("validVersions").asText());
            for (int version = valid[0]; version <= valid[1]; version++) {
                for (Shape shape : Shape.values()) out.println(MAPPER.writeValueAsString(sample(schema, version, shape)));
            }
        }
        out.flush();
    }

    private static ObjectNode sample(JsonNode schema, int version, Shape shape) throws Exception {
        ObjectNode json = new Golden(schema, version, shape).struct(schema.get("fields"), 0);
        Class<?> type = messageClass(schema);
        Message data = (Message) Class.forName(type.getName() + "JsonConverter")
            .getMethod("read", JsonNode.class, short.class).invoke(null, json, (short) version);
        ByteBuffer bytes = MessageUtil.toByteBufferAccessor(data, (short) version).buffer();
        Message again = (Message) type.getDeclaredConstructor().newInstance();
        again.read(new ByteBufferAccessor(bytes.duplicate()), (short) version);
        if (!again.equals(data)) throw new IllegalStateException("Kafka reads back another " + type + " v" + version);
        byte[] copy = new byte[bytes.remaining()];
        bytes.get(copy);
        ObjectNode line = JSON.objectNode();
        line.put("message", schema.get("name").asText());
        line.put("version", version);
        line.put("hex", HexFormat.of().formatHex(copy));
        line.set("json", json);
        return line;
    }

    private ObjectNode struct(JsonNode fields, int depth) {
        ObjectNode node = JSON.objectNode();
        for (JsonNode field : fields) {
            String versions = field.has("versions") ? field.get("versions").asText() : field.get("taggedVersions").asText();
            if (!in(versions)) continue;
            boolean tagged = field.has("taggedVersions") && in(field.get("taggedVersions").asText());
            if (tagged && (shape == Shape.EMPTY || (shape == Shape.MIXED && random.nextBoolean()))) continue;
            String name = field.get("name").asText();
            node.set(Character.toLowerCase(name.charAt(0)) + name.substring(1), value(field, depth));
        }
        return node;
    }

    private JsonNode value(JsonNode field, int depth) {
        boolean nullable = field.has("nullableVersions") && in(field.get("nullableVersions").asText());
        if (nullable && (shape == Shape.EMPTY || (shape == Shape.MIXED && random.nextInt(3) == 0))) return JSON.nullNode();
        String type = field.get("type").asText();
        if (!type.startsWith("[]")) return element(type, field, depth);
        ArrayNode array = JSON.arrayNode();
        for (int left = count(type, depth); left > 0; left--) array.add(element(type.substring(2), field, depth + 1));
        return array;
    }

    private int count(String type, int depth) {
        if (shape == Shape.EMPTY) return 0;
        boolean struct = Character.isUpperCase(type.charAt(2));
        if (!struct && random.nextInt(16) == 0) return 130;
        return (shape == Shape.FULL ? 1 : 0) + random.nextInt(depth > 1 ? 2 : 3);
    }

    private JsonNode element(String type, JsonNode field, int depth) {
        boolean zero = shape == Shape.EMPTY;
        switch (type) {
            case "bool": return JSON.booleanNode(!zero && random.nextBoolean());
            case "int8": return JSON.numberNode((byte) number(zero));
            case "int16": return JSON.numberNode((short) number(zero));
            case "uint16": return JSON.numberNode(number(zero) & 0xffff);
            case "int32": return JSON.numberNode(number(zero));
            case "uint32": return JSON.numberNode(number(zero) & 0xffffffffL);
            case "int64": return JSON.numberNode(zero ? 0 : random.nextInt(3) == 0 ? random.nextInt() : INT64[random.nextInt(INT64.length)]);
            case "float64": return JSON.numberNode(zero ? 0 : random.nextGaussian() * 1e9);
            case "uuid": return JSON.textNode(zero ? Uuid.ZERO_UUID.toString() : new Uuid(random.nextLong(), random.nextLong()).toString());
            case "string": return JSON.textNode(zero ? "" : string());
            case "bytes": return JSON.binaryNode(bytes(zero ? 0 : random.nextInt(3) == 0 ? 200 : random.nextInt(20)));
            case "records": return JSON.binaryNode(bytes(zero ? 0 : random.nextInt(3) == 0 ? 1500 : random.nextInt(100)));
            default: return struct(field.has("fields") ? field.get("fields") : common(type), depth + 1);
        }
    }

    private int number(boolean zero) {
        if (zero) return 0;
        return random.nextBoolean() ? random.nextInt() : INT32[random.nextInt(INT32.length)];
    }

    private String string() {
        int pick = random.nextInt(STRINGS.length + 3);
        if (pick < STRINGS.length) return STRINGS[pick];
        return (pick == STRINGS.length ? "ü" : "topic-").repeat(pick == STRINGS.length + 1 ? 30 : 5);
    }

    private byte[] bytes(int size) {
        byte[] bytes = new byte[size];
        random.nextBytes(bytes);
        return bytes;
    }

    private JsonNode common(String name) {
        for (JsonNode struct : message.get("commonStructs")) if (struct.get("name").asText().equals(name)) return struct.get("fields");
        throw new IllegalStateException("no struct " + name);
    }

    private boolean in(String versions) {
        int[] range = range(versions);
        return version >= range[0] && version <= range[1];
    }

    private static int[] range(String text) {
        if (text.equals("none")) return new int[] {1, 0};
        if (text.endsWith("+")) return new int[] {Integer.parseInt(text.substring(0, text.length() - 1)), Short.MAX_VALUE};
        String[] ends = text.split("-");
        return new int[] {Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1])};
    }

    private static Class<?> messageClass(JsonNode schema) {
        String name = schema.get("name").asText();
        for (String start : PACKAGES) {
            for (String end : new String[] {"Data", ""}) {
                try {
                    return Class.forName(start + name + end);
                } catch (ClassNotFoundException e) {
                    // The next package, then.
                }
            }
        }
        throw new IllegalStateException("no class of " + name);
    }

    private static TreeMap<String, JsonNode> readSchemas(File folder) throws Exception {
        TreeMap<String, JsonNode> schemas = new TreeMap<>();
        for (File jar : folder.listFiles((dir, name) -> name.endsWith(".jar"))) {
            try (ZipFile zip = new ZipFile(jar)) {
                for (ZipEntry entry : Collections.list(zip.entries())) {
                    if (!entry.getName().matches("common/message/.*\\.json")) continue;
                    JsonNode schema = MAPPER.readTree(zip.getInputStream(entry));
                    schemas.put(schema.get("name").asText(), schema);
                }
            }
        }
        return schemas;
    }
}
