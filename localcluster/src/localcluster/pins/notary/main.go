// Reads and writes signed notes, and verifies proofs of logs, with the libraries of Go and of transparency-dev: so that
// what Bailiwick writes is read by an implementation that is not its own.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strconv"

	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

const usage = `usage: notary generate NAME                              prints a private and a public key
       notary sign KEY <TEXT                             prints a note
       notary open [--cosigned] KEY... <NOTE             prints the text of a note that each of the keys signed
       notary root <LINES                                prints the root over lines
       notary included INDEX SIZE ROOT LEAF [HASH...]
       notary consistent SIZE SIZE ROOT ROOT [HASH...]`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf(usage)
	}
	switch verb, rest := args[0], args[1:]; {
	case verb == "generate" && len(rest) == 1:
		private, public, err := note.GenerateKey(nil, rest[0])
		if err == nil {
			fmt.Printf("%s\n%s\n", private, public)
		}
		return err
	case verb == "sign" && len(rest) == 1:
		return sign(rest[0])
	case verb == "open" && len(rest) > 0:
		return open(rest)
	case verb == "root" && len(rest) == 0:
		return root()
	case verb == "included" && len(rest) >= 4:
		return included(rest)
	case verb == "consistent" && len(rest) >= 4:
		return consistent(rest)
	}
	return fmt.Errorf(usage)
}

func sign(key string) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(key)
	if err != nil {
		return err
	}
	made, err := note.Sign(&note.Note{Text: string(text)}, signer)
	if err == nil {
		os.Stdout.Write(made)
	}
	return err
}

func open(keys []string) error {
	made := note.NewVerifier
	if keys[0] == "--cosigned" {
		made, keys = cosignature.NewVerifierForCosignatureV1, keys[1:]
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var known []note.Verifier
	for _, key := range keys {
		verifier, err := made(key)
		if err != nil {
			return err
		}
		known = append(known, verifier)
	}
	found, err := note.Open(text, note.VerifierList(known...))
	if err != nil {
		return err
	}
	if len(found.Sigs) != len(keys) {
		return fmt.Errorf("%d of %d keys signed", len(found.Sigs), len(keys))
	}
	fmt.Print(found.Text)
	return nil
}

func root() error {
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(lines.Bytes()), nil); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if tree.End() == 0 {
		fmt.Println(base64.StdEncoding.EncodeToString(rfc6962.DefaultHasher.EmptyRoot()))
		return nil
	}
	made, err := tree.GetRootHash(nil)
	if err == nil {
		fmt.Println(base64.StdEncoding.EncodeToString(made))
	}
	return err
}

func included(args []string) error {
	sizes, hashes, err := parsed(args)
	if err != nil {
		return err
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, sizes[0], sizes[1], hashes[1], hashes[2:], hashes[0])
}

func consistent(args []string) error {
	sizes, hashes, err := parsed(args)
	if err != nil {
		return err
	}
	return proof.VerifyConsistency(rfc6962.DefaultHasher, sizes[0], sizes[1], hashes[2:], hashes[0], hashes[1])
}

func parsed(args []string) (sizes []uint64, hashes [][]byte, err error) {
	for _, arg := range args[:2] {
		size, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return nil, nil, err
		}
		sizes = append(sizes, size)
	}
	for _, arg := range args[2:] {
		hash, err := base64.StdEncoding.DecodeString(arg)
		if err != nil {
			return nil, nil, err
		}
		hashes = append(hashes, hash)
	}
	return sizes, hashes, nil
}
