{{/* The pod, the same in a Deployment and in a StatefulSet. */}}
{{- define "gateway.pod" -}}
metadata:
  labels:
    {{- include "gateway.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ toYaml .Values.config | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "gateway.serviceAccount" . }}
  automountServiceAccountToken: false
  # Variables that Kubernetes makes of services look like settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    # Always would give the group rights to the key file at every start, and the
    # gateway refuses a key file that others can read.
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: gateway
      image: "{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      env:
        {{- include "gateway.env" . | nindent 8 }}
      ports:
        - name: s3
          containerPort: 9000
        - name: metrics
          containerPort: 9002
      # The listeners answer when the store is open, and migrated if need be.
      startupProbe:
        httpGet: {path: /livez, port: metrics}
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet: {path: /livez, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 6
        failureThreshold: 2
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /data
        {{- if .Values.config }}
        - name: config
          mountPath: /etc/sanctum
          readOnly: true
        {{- end }}
        {{- if .Values.keyring.existingSecret }}
        - name: keyring
          mountPath: /run/secrets/sanctum/keyring
          readOnly: true
        {{- end }}
        {{- if .Values.tls.existingSecret }}
        - name: tls
          mountPath: /run/secrets/sanctum/tls
          readOnly: true
        {{- end }}
  {{- if or .Values.store.existingSecret .Values.config .Values.keyring.existingSecret .Values.tls.existingSecret }}
  volumes:
    {{- if .Values.store.existingSecret }}
    # Store and blobs are elsewhere, so a gateway keeps nothing.
    - name: data
      emptyDir: {}
    {{- end }}
    {{- if .Values.config }}
    - name: config
      configMap:
        name: {{ include "gateway.fullname" . }}
    {{- end }}
    # Kubernetes gives the files of a Secret to root, and to fsGroup for reading.
    {{- with .Values.keyring.existingSecret }}
    - name: keyring
      secret:
        secretName: {{ . }}
        defaultMode: 0440
        items:
          - key: {{ $.Values.keyring.key }}
            path: keyring
    {{- end }}
    {{- with .Values.tls.existingSecret }}
    - name: tls
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "gateway.env" -}}
- name: SANCTUM_DATA
  value: /data
- name: SANCTUM_S3_ADDRESS
  value: ":9000"
- name: SANCTUM_METRICS_ADDRESS
  value: ":9002"
# Inside the cluster; networkPolicy narrows it down.
- name: SANCTUM_ALLOW_INSECURE_PUBLIC
  value: {{ ternary "metrics" "s3,metrics" (not (empty .Values.tls.existingSecret)) | quote }}
- name: SANCTUM_SHUTDOWN_DELAY # until endpoints have forgotten the pod
  value: 5s
- name: SANCTUM_LOG_FORMAT
  value: json
{{- if .Values.config }}
- name: SANCTUM_CONFIG
  value: /etc/sanctum/gateway.yaml
{{- end }}
{{- if or .Values.keyring.existingSecret .Values.tls.existingSecret }}
# Secrets below this folder may be readable by the gateway's own group.
- name: CREDENTIALS_DIRECTORY
  value: /run/secrets/sanctum
{{- end }}
{{- if .Values.keyring.existingSecret }}
- name: SANCTUM_KEYRING_PATH
  value: /run/secrets/sanctum/keyring/keyring
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: SANCTUM_TLS_CERT_FILE
  value: /run/secrets/sanctum/tls/tls.crt
- name: SANCTUM_TLS_KEY_FILE
  value: /run/secrets/sanctum/tls/tls.key
{{- end }}
{{- with .Values.store.existingSecret }}
- name: SANCTUM_STORE_URL
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.store.key }}
{{- end }}
{{- with .Values.rootCredential.existingSecret }}
- name: SANCTUM_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.rootCredential.accessKey }}
- name: SANCTUM_SECRET_KEY
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.rootCredential.secretKey }}
{{- end }}
{{- range $name, $from := .Values.secretEnv }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.secret }}
      key: {{ $from.key }}
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
