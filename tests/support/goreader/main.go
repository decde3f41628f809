// Reads each line of its input as an application in Go reads a body, and prints what it took.
package main

import (
	"bufio"
	"encoding/json"
	"os"
)

type export struct {
	To      *json.RawMessage `json:"to"`
	Payment struct {
		Amount *json.RawMessage `json:"amount"`
	} `json:"payment"`
}

func main() {
	lines, answers := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var read export
		if err := json.Unmarshal(lines.Bytes(), &read); err != nil {
			panic(err)
		}
		if err := answers.Encode([]*json.RawMessage{read.To, read.Payment.Amount}); err != nil {
			panic(err)
		}
	}
}
