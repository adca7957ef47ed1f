{{/* Names and labels of everything in the release. */}}

{{- define "gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "gateway.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "gateway.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/*
Values that would lose data, or start something that cannot work, are refused
before anything is applied. The result is empty.
*/}}
{{- define "gateway.check" -}}
{{- if .Values.store.existingSecret -}}
{{- if not .Values.keyring.existingSecret -}}
{{- fail "store.existingSecret needs keyring.existingSecret: all gateways must have the same key file; make it with `gateway keyring create`" -}}
{{- end -}}
{{- if not .Values.rootCredential.existingSecret -}}
{{- fail "store.existingSecret needs rootCredential.existingSecret: all gateways must have the same root credential" -}}
{{- end -}}
{{- if not .Values.config.backends -}}
{{- fail "store.existingSecret needs config.backends: without one, blobs would be kept in a pod and lost with it" -}}
{{- end -}}
{{- range $name, $backend := .Values.config.backends -}}
{{- if eq (toString (get $backend "type")) "fs" -}}
{{- fail (printf "config.backends.%s has type fs: its blobs would be kept in a pod and lost with it" $name) -}}
{{- end -}}
{{- end -}}
{{- else if gt (int .Values.replicas) 1 -}}
{{- fail "replicas above 1 need store.existingSecret: SQLite serves one gateway" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled needs ingress.host" -}}
{{- end -}}
{{- end -}}
