"""A Flink cluster by its REST API, without Beam: what it runs, why a job failed, from where it can be started again."""
