"""`make demo-kinesis`: from a destination file to the records of a stream, every change of a profile accounted for."""
