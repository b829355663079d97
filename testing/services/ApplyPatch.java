import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.flipkart.zjsonpatch.JsonPatch;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * Applies JSON Patches as Adobe's JsonPatchTransform does, one a line: {"patch": [...], "record": {...}}.
 *
 * <p>Answers each line with the record that comes of it, or with the word "failed" where the transform would log an
 * error and pass the record on as it was.
 */
public class ApplyPatch {
  public static void main(String[] args) throws Exception {
    ObjectMapper mapper = new ObjectMapper();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, true, "UTF-8");
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode task = mapper.readTree(line);
      String answer;
      try {
        answer = mapper.writeValueAsString(JsonPatch.apply(task.get("patch"), task.get("record")));
      } catch (Exception error) {
        answer = "failed";
      }
      out.println(answer);
    }
  }
}
