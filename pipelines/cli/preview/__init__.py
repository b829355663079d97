"""`beam-aep preview`."""
