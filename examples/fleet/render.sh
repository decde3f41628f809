#!/usr/bin/env bash
# Writes the policies of each cluster into rendered/CLUSTER, checks them, and puts the gate of ../gates beside them. Commit
# what it writes: Argo CD applies it, and the gate reads it. Needs kubectl. GATES names the folder of the gate, BAILIWICK
# the program.
set -euo pipefail
cd "$(dirname "$0")"

gates=${GATES:-../gates}
bailiwick=${BAILIWICK:-bailiwick}
for overlay in overlays/*/; do
  cluster=$(basename "${overlay}")
  folder=rendered/${cluster}
  mkdir -p "${folder}"
  kubectl kustomize "${overlay}" > "${folder}/policies.yaml"
  "${bailiwick}" validate "${folder}/policies.yaml"
  "${bailiwick}" test tests -f "${folder}/policies.yaml"
  cp "${gates}/argocd-presync.yaml" "${folder}/argocd-presync.yaml"
  cp "${gates}/argocd-presync-kustomization.yaml" "${folder}/kustomization.yaml"
  # What was accepted before stays.
  touch "${folder}/accepted"
done
