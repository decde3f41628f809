// Judges packets by NetworkPolicies with the evaluator of kube-network-policies: so that what Bailiwick says of a path
// is held against an implementation that is not its own, and that also drops packets in clusters.
//
// Each line of standard input is a world: policies, namespaces, pods and packets, with the objects as the API server
// returns them. Each line of standard output says of each packet if it comes through.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	_ "unsafe" // for go:linkname

	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

// What a client's own port is decides nothing.
const sourcePort = 40000

type world struct {
	Policies   []networkingv1.NetworkPolicy `json:"policies"`
	Namespaces []v1.Namespace               `json:"namespaces"`
	Pods       []v1.Pod                     `json:"pods"`
	Packets    []struct {
		Source      string      `json:"source"`
		Destination string      `json:"destination"`
		Protocol    v1.Protocol `json:"protocol"`
		Port        int         `json:"port"`
	} `json:"packets"`
}

//go:linkname policiesFor sigs.k8s.io/kube-network-policies/pkg/networkpolicy.(*Controller).getNetworkPoliciesForPod
func policiesFor(c *networkpolicy.Controller, pod *v1.Pod) []*networkingv1.NetworkPolicy

//go:linkname evaluate sigs.k8s.io/kube-network-policies/pkg/networkpolicy.(*Controller).evaluator
func evaluate(
	c *networkpolicy.Controller, ctx context.Context, policies []*networkingv1.NetworkPolicy,
	direction networkingv1.PolicyType, own *v1.Pod, ownPort int, other *v1.Pod, otherIP net.IP, otherPort int,
	protocol v1.Protocol,
) bool

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	decoder := json.NewDecoder(lines)
	for decoder.More() {
		var one world
		if err := decoder.Decode(&one); err != nil {
			return err
		}
		judged, err := judge(&one)
		if err != nil {
			return err
		}
		if err := answers.Encode(judged); err != nil {
			return err
		}
	}
	return nil
}

func judge(one *world) ([]bool, error) {
	factory := informers.NewSharedInformerFactory(fake.NewSimpleClientset(), 0)
	policies := factory.Networking().V1().NetworkPolicies()
	namespaces := factory.Core().V1().Namespaces()
	pods := factory.Core().V1().Pods()
	config := networkpolicy.Config{NodeName: "node", NRIdisabled: true}
	controller, err := networkpolicy.NewController(
		fake.NewSimpleClientset(), policies, namespaces, pods, factory.Core().V1().Nodes(), nil, nil, nil, config,
	)
	if err != nil {
		return nil, err
	}
	for index := range one.Policies {
		// As the API server stores it: an empty list is no list.
		stored, err := json.Marshal(&one.Policies[index])
		if err != nil {
			return nil, err
		}
		policy := &networkingv1.NetworkPolicy{}
		if err := json.Unmarshal(stored, policy); err != nil {
			return nil, err
		}
		if err := policies.Informer().GetStore().Add(policy); err != nil {
			return nil, err
		}
	}
	for index := range one.Namespaces {
		if err := namespaces.Informer().GetStore().Add(&one.Namespaces[index]); err != nil {
			return nil, err
		}
	}
	byAddress := map[string]*v1.Pod{}
	for index := range one.Pods {
		pod := &one.Pods[index]
		if err := pods.Informer().GetStore().Add(pod); err != nil {
			return nil, err
		}
		if pod.Spec.HostNetwork {
			continue
		}
		for _, address := range pod.Status.PodIPs {
			byAddress[address.IP] = pod
		}
	}
	judged := make([]bool, 0, len(one.Packets))
	for _, sent := range one.Packets {
		// What the library does with each packet (evaluatePacket), but for its lookup of pods by address.
		ctx, source, destination := context.Background(), byAddress[sent.Source], byAddress[sent.Destination]
		leaves := evaluate(
			controller, ctx, policiesFor(controller, source), networkingv1.PolicyTypeEgress, source, sourcePort,
			destination, net.ParseIP(sent.Destination), sent.Port, sent.Protocol,
		)
		judged = append(judged, leaves && evaluate(
			controller, ctx, policiesFor(controller, destination), networkingv1.PolicyTypeIngress, destination, sent.Port,
			source, net.ParseIP(sent.Source), sourcePort, sent.Protocol,
		))
	}
	return judged, nil
}
