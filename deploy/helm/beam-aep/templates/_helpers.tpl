{{- define "beam-aep.labels" -}}
app.kubernetes.io/name: beam-aep
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
