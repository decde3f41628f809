// Pins of the definitions of other projects that the chart makes objects of. Nothing of it is compiled.
module bailiwick.dev/hack/localcluster/foreign

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.4.0
)
