{{/* What the Deployments say alike. Each takes root and component. */}}
{{- define "bailiwick.pod.metadata" -}}
{{- $own := get .root.Values .component -}}
labels:
  {{- $labels := include "bailiwick.labels" (dict "root" .root "part" .component) | fromYaml }}
  {{- toYaml (merge $labels $own.podLabels .root.Values.commonLabels) | nindent 2 }}
annotations:
  {{- $annotations := dict "kubectl.kubernetes.io/default-container" .component }}
  {{- if and .root.Values.issuers (ne .component "console") }}
  {{- /* Issuers are read at the start: other ones take other pods. */}}
  {{- $_ := set $annotations "bailiwick.dev/issuers" (include "bailiwick.issuers" .root | sha256sum) }}
  {{- end }}
  {{- if .root.Values.reviewers.registrars }}
  {{- $_ := set $annotations "bailiwick.dev/registrars" (include "bailiwick.registrars" .root | sha256sum) }}
  {{- end }}
  {{- toYaml (merge $annotations $own.podAnnotations .root.Values.commonAnnotations) | nindent 2 }}
{{- end -}}

{{- define "bailiwick.pod.spec" -}}
{{- $own := get .root.Values .component -}}
serviceAccountName: {{ include (printf "bailiwick.%s.account" .component) .root | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add (int64 $own.terminationGracePeriodSeconds) (ternary 15 0 (and (eq .component "webhook") (not (empty .root.Values.webhook.record.shipper.url)))) }}
{{- with concat .root.Values.global.imagePullSecrets .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $own.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $affinity := $own.affinity | default (include "bailiwick.pod.affinity" . | fromYaml) }}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- with $own.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "bailiwick.selector" (dict "root" $.root "part" $.component) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "bailiwick.pod.affinity" -}}
{{- $preset := (get .root.Values .component).podAntiAffinity -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "bailiwick.selector" (dict "root" .root "part" .component) | fromYaml)) -}}
{{- if eq $preset "hard" -}}
{{- dict "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) | toYaml -}}
{{- else if eq $preset "soft" -}}
{{- dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term))) | toYaml -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{- define "bailiwick.container" -}}
{{- $own := get .root.Values .component -}}
name: {{ .component }}
image: {{ include "bailiwick.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with $own.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or $own.extraEnv (eq .component "webhook") }}
env:
  {{- if eq .component "webhook" }}
  {{- range $name, $path := dict "BAILIWICK_POD_NAME" "metadata.name" "BAILIWICK_POD_UID" "metadata.uid" }}
  - name: {{ $name }}
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: {{ $path }}
  {{- end }}
  {{- end }}
  {{- with $own.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A container's own files. The token is a volume of ours, so that nothing else of the pod is handed one. */}}
{{- define "bailiwick.mounts" -}}
- name: token
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if .root.Values.issuers }}
- name: issuers
  mountPath: /etc/bailiwick/issuers
  readOnly: true
{{- end }}
{{- if .root.Values.reviewers.registrars }}
- name: registrars
  mountPath: /etc/bailiwick/registrars
  readOnly: true
{{- end }}
{{- with (get .root.Values .component).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "bailiwick.volumes" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
    - serviceAccountToken:
        path: token
        expirationSeconds: 3600
    - configMap:
        name: kube-root-ca.crt
        items:
        - key: ca.crt
          path: ca.crt
    - downwardAPI:
        items:
        - path: namespace
          fieldRef:
            apiVersion: v1
            fieldPath: metadata.namespace
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
{{- if .root.Values.issuers }}
- name: issuers
  {{- if and .root.Values.issuerSecretName (eq .component "operator") }}
  projected:
    defaultMode: 0440
    sources:
    {{- /* Optional: a Secret that is not there yet stops no reconciling. First: no key of it replaces issuers.yaml. */}}
    - secret:
        name: {{ .root.Values.issuerSecretName | quote }}
        optional: true
    - configMap:
        name: {{ include "bailiwick.issuers.name" .root }}
  {{- else }}
  configMap:
    name: {{ include "bailiwick.issuers.name" .root }}
  {{- end }}
{{- end }}
{{- if .root.Values.reviewers.registrars }}
- name: registrars
  configMap:
    name: {{ include "bailiwick.registrars.name" .root }}
{{- end }}
{{- with (get .root.Values .component).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
How long a decision point that stops waits for the witness: for one poll, which may take 3 seconds, within the grace
period. 10 seconds of that are for responses in progress, as validate.yaml says.
*/}}
{{- define "bailiwick.witnessWait" -}}
{{- $own := .Values.webhook -}}
{{- $spare := sub (int64 $own.terminationGracePeriodSeconds) (add (int64 $own.preStopSeconds) (int64 $own.drainSeconds) 10) -}}
{{- $interval := int64 .Values.operator.witnessIntervalSeconds -}}
{{- ternary (min (add $interval 3) $spare) 0 (and $own.record.chain (gt $interval 0)) -}}
{{- end -}}

{{/* What the folder of this cluster is called in the object store of records. */}}
{{- define "bailiwick.shipper.cluster" -}}
{{- .Values.clusterName | default .Values.reviewers.installation -}}
{{- end -}}

{{/* Flags that say to both processes, in the same words, which installation this is. */}}
{{- define "bailiwick.installation" -}}
- --namespace={{ include "bailiwick.namespace" . }}
- --webhook-account={{ include "bailiwick.webhook.account" . }}
- --operator-account={{ include "bailiwick.operator.account" . }}
{{- range .Values.humanUsernamePrefixes }}
- {{ printf "--human-username-prefix=%s" . | quote }}
{{- end }}
{{- if .Values.issuers }}
- --issuers=/etc/bailiwick/issuers/issuers.yaml
{{- end }}
{{- with .Values.reviewers }}
{{- if .registrars }}
- --registrar-keys=/etc/bailiwick/registrars/registrars.pub
- --registrar-quorum={{ int64 .quorum }}
- {{ printf "--reviewers-installation=%s" .installation | quote }}
{{- include "bailiwick.passkeyOrigins" $ | nindent 0 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Flags that say at which origins passkeys sign: those of the served console, of others, and of consoles on loopback. */}}
{{- define "bailiwick.passkeyOrigins" -}}
{{- $served := ternary .Values.console.publicURL "" .Values.console.enabled -}}
{{- range prepend .Values.reviewers.origins $served | compact -}}
- {{ printf "--passkey-origin=%s" . | quote }}
{{ end -}}
- "--passkey-origin=http://*.bailiwick.localhost:*"
{{- end -}}

{{/* The keys of the registrars, a line each. */}}
{{- define "bailiwick.registrars" -}}
{{- join "\n" .Values.reviewers.registrars -}}
{{- end -}}

{{/* Flags that say to both processes, in the same words, what policies may take. */}}
{{- define "bailiwick.budgets" -}}
{{- with .Values.budgets -}}
- --budget-bytes={{ int64 .totalBytes }}
- --namespace-budget-bytes={{ int64 .namespaceBytes }}
- --policy-budget-bytes={{ int64 .policyBytes }}
- --namespace-policies={{ int64 .namespacePolicies }}
- --namespace-spec-bytes={{ int64 .namespaceSpecBytes }}
{{- end -}}
{{- end -}}

{{/* The data of the ConfigMap of issuers. */}}
{{- define "bailiwick.issuers" -}}
{{- merge (dict "issuers.yaml" (dict "issuers" .Values.issuers | toYaml)) .Values.issuerFiles | toYaml -}}
{{- end -}}
