/**
 * Beam's job server for Flink, for a cluster that has Beam's jars already.
 *
 * <p>The job server uploads every jar of its class path with each job, 160 MB in some 14 seconds. It finds them by
 * this property; the JVM itself has read it by now.
 */
public class JobServer {
  public static void main(String[] args) throws Exception {
    System.setProperty("java.class.path", "nothing-to-upload");
    org.apache.beam.runners.flink.FlinkJobServerDriver.main(args);
  }
}
