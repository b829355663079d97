// A sink connector in place of Adobe's, which cannot be had from a registry: it posts what a put holds to
// `aep.endpoint`, one request after another, as that one does.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkConnector;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

public class StandInSink extends SinkConnector {
    private Map<String, String> properties;

    @Override public void start(Map<String, String> given) { properties = given; }
    @Override public void stop() {}
    @Override public Class<? extends Task> taskClass() { return Posting.class; }
    @Override public List<Map<String, String>> taskConfigs(int most) { return List.of(properties); }
    @Override public ConfigDef config() { return new ConfigDef(); }
    @Override public String version() { return "1"; }

    public static class Posting extends SinkTask {
        // The local AEP does not speak HTTP/2, which this client would ask for first.
        private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        private final JsonConverter json = new JsonConverter();
        private URI endpoint;

        @Override public void start(Map<String, String> properties) {
            endpoint = URI.create(properties.get("aep.endpoint").replace("/collection/", "/collection/batch/"));
            json.configure(Map.of("schemas.enable", "false"), false);
        }

        @Override public void put(Collection<SinkRecord> records) {
            List<String> values = records.stream().map(this::text).toList();
            for (int first = 0; first < values.size(); first += 500) {
                post(values.subList(first, Math.min(first + 500, values.size())));
            }
        }

        private String text(SinkRecord record) {
            byte[] value = json.fromConnectData(record.topic(), record.valueSchema(), record.value());
            return new String(value, StandardCharsets.UTF_8);
        }

        private void post(List<String> messages) {
            String body = "{\"messages\":[" + String.join(",", messages) + "]}";
            HttpRequest request = HttpRequest.newBuilder(endpoint).header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body)).build();
            try {
                int status = client.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
                if (status >= 300) { throw new ConnectException("status " + status); }
            } catch (java.io.IOException | InterruptedException error) {
                throw new ConnectException(error);
            }
        }

        @Override public void stop() {}
        @Override public String version() { return "1"; }
    }
}
