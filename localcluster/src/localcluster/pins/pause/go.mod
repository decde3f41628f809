// What holds the namespaces of a pod. No dependencies.
module bailiwick.dev/hack/localcluster/pause

go 1.26.0
