{{/* Names. There is one Bailiwick in a cluster, so they do not depend on what the release is called. */}}
{{- define "bailiwick.fullname" -}}
{{- .Values.fullnameOverride | default .Chart.Name -}}
{{- end -}}

{{- define "bailiwick.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "bailiwick.webhook.name" -}}
{{- printf "%s-webhook" (include "bailiwick.fullname" .) -}}
{{- end -}}

{{- define "bailiwick.operator.name" -}}
{{- printf "%s-operator" (include "bailiwick.fullname" .) -}}
{{- end -}}

{{- define "bailiwick.console.name" -}}
{{- printf "%s-console" (include "bailiwick.fullname" .) -}}
{{- end -}}

{{- define "bailiwick.console.account" -}}
{{- .Values.console.serviceAccount.name | default (include "bailiwick.console.name" .) -}}
{{- end -}}

{{/* The host by which people reach the console, as names are compared. */}}
{{- define "bailiwick.console.host" -}}
{{- (urlParse .Values.console.publicURL).hostname | lower -}}
{{- end -}}

{{/* The Secret that the console serves with. cert-manager fills the one of this name, where it issues. */}}
{{- define "bailiwick.console.secret" -}}
{{- .Values.console.tls.secretName | default (include "bailiwick.console.name" .) -}}
{{- end -}}

{{- define "bailiwick.webhook.account" -}}
{{- .Values.webhook.serviceAccount.name | default (include "bailiwick.webhook.name" .) -}}
{{- end -}}

{{- define "bailiwick.operator.account" -}}
{{- .Values.operator.serviceAccount.name | default (include "bailiwick.operator.name" .) -}}
{{- end -}}

{{- define "bailiwick.webhook.host" -}}
{{- printf "%s.%s.svc" (include "bailiwick.webhook.name" .) (include "bailiwick.namespace" .) -}}
{{- end -}}

{{- define "bailiwick.issuers.name" -}}
{{- printf "%s-issuers" (include "bailiwick.fullname" .) -}}
{{- end -}}

{{- define "bailiwick.registrars.name" -}}
{{- printf "%s-registrars" (include "bailiwick.fullname" .) -}}
{{- end -}}

{{/* What a guard asks of a username besides, where prefixes of people are given: the end of its expression. */}}
{{- define "bailiwick.people" -}}
{{- with .Values.humanUsernamePrefixes -}}
{{- $tests := list -}}
{{- range . -}}
{{- $tests = append $tests (printf "variables.me.startsWith('%s')" .) -}}
{{- end -}}
{{- printf " && (%s)" (join " || " $tests) -}}
{{- end -}}
{{- end -}}

{{/* Labels: all of them, and the ones that never change, by which pods are selected. Takes root and part. */}}
{{- define "bailiwick.selector" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .part | quote }}
{{- end -}}

{{- define "bailiwick.labels" -}}
{{ include "bailiwick.selector" . }}
app.kubernetes.io/part-of: bailiwick
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") | quote }}
{{- end -}}

{{/* Labels and annotations of an object, below `metadata:`. Takes root, part, and labels and annotations of its own. */}}
{{- define "bailiwick.meta" -}}
{{- $values := .root.Values -}}
{{- $component := get (dict "webhook-account" "webhook" "operator-account" "operator" "console-account" "console") .part | default .part -}}
{{- $annotations := merge (dict) (.annotations | default dict) -}}
{{- if eq .part "crds" -}}
{{- if $values.crds.keep -}}
{{- $_ := set $annotations "helm.sh/resource-policy" "keep" -}}
{{- end -}}
{{- if $values.argocd.annotations -}}
{{- $_ := set $annotations "argocd.argoproj.io/sync-wave" "-5" -}}
{{- $_ := set $annotations "argocd.argoproj.io/sync-options" "ServerSideApply=true,Prune=confirm" -}}
{{- end -}}
{{- else if $values.argocd.annotations -}}
{{- if eq .part "guards" -}}
{{- $_ := set $annotations "argocd.argoproj.io/sync-wave" "-4" -}}
{{- else if eq .part "admission" -}}
{{- $_ := set $annotations "argocd.argoproj.io/sync-wave" "5" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .part "admission") (eq $values.tls.mode "certManager") -}}
{{- $_ := set $annotations "cert-manager.io/inject-ca-from" (printf "%s/bailiwick-serving" (include "bailiwick.namespace" .root)) -}}
{{- end -}}
{{- if hasSuffix "-account" .part -}}
{{- $annotations = merge $annotations (get $values $component).serviceAccount.annotations -}}
{{- end -}}
{{- $annotations = merge $annotations $values.commonAnnotations -}}
{{- $labels := include "bailiwick.labels" (dict "root" .root "part" $component) | fromYaml -}}
{{- /* Ours win: others find our objects by them. */ -}}
{{- $labels = merge $labels (.labels | default dict) $values.commonLabels -}}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image by digest if there is one, else by tag. Takes root and component. */}}
{{- define "bailiwick.image" -}}
{{- $image := (get .root.Values .component).image -}}
{{- $registry := .root.Values.image.registry | default .root.Values.global.imageRegistry -}}
{{- $name := ternary $image.repository (printf "%s/%s" $registry $image.repository) (empty $registry) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
