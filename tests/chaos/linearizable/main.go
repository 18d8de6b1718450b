// Reads a history of calls (../history.py, JSON lines) and checks each member, and each identity, as a register with porcupine.
//
//	linearizable [-timeout 20s] HISTORY
//
// Prints a JSON line for each register that is not linearizable, or of which that could not be decided in time, and then one with
// the counts. Exit code 0: all are linearizable; 1: not so; 2: the history cannot be read.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

// call is a line of a history; lines of looks have no op.
type call struct {
	Op        string  `json:"op"`
	Begin     int64   `json:"begin"`
	End       int64   `json:"end"`
	Outcome   string  `json:"outcome"`
	Status    int     `json:"status"`
	Member    string  `json:"member"`
	Identity  string  `json:"identity"`
	Number    string  `json:"number"`
	Condition *int64  `json:"condition"`
	Version   int64   `json:"version"`
	Value     string  `json:"value"`
	Holder    *string `json:"holder"`
	AgeMs     *int64  `json:"age_ms"`
	Source    string  `json:"source"`
	Caller    string  `json:"caller"`
	Server    string  `json:"server"`
}

const never = math.MaxInt64

func (c call) isWrite() bool {
	return c.Op == "register" || c.Op == "update" || c.Op == "bind" || c.Op == "unbind"
}

// Only what the primary answers is a register's. A read that declares an age promises less and is left out, and so is one of a
// cache: it shows all that was acknowledged, but of a write under way one center's may know before another's (../checker.py).
func (c call) isExactRead() bool {
	return !c.isWrite() && c.Outcome == "ok" && c.Source == "primary" && c.AgeMs != nil && *c.AgeMs == 0
}

// finding is a line of the output.
type finding struct {
	Register   string `json:"register"`
	Result     string `json:"result"` // illegal, unknown
	Operations int    `json:"operations"`
	At         int64  `json:"at"` // begin of the first call that fits nowhere in the longest order that was found
	Text       string `json:"text"`
}

func main() {
	timeout := flag.Duration("timeout", 20*time.Second, "how long to look at one register")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: linearizable [-timeout 20s] HISTORY")
		os.Exit(2)
	}
	members, identities, err := read(flag.Arg(0))
	if err != nil {
		fmt.Fprintf(os.Stderr, "linearizable: %s cannot be read as a history: %v\n", flag.Arg(0), err)
		os.Exit(2)
	}
	out := json.NewEncoder(os.Stdout)
	bad, operations := 0, 0
	judge := func(kind string, model porcupine.Model, registers map[string][]porcupine.Operation) {
		for _, name := range sorted(registers) {
			operations += len(registers[name])
			if found := check(kind+" "+name, model, registers[name], *timeout); found != nil {
				bad++
				_ = out.Encode(found)
			}
		}
	}
	judge("member", memberModel, members)
	judge("identity", identityModel, identities)
	_ = out.Encode(map[string]int{"members": len(members), "identities": len(identities), "operations": operations, "bad": bad})
	if bad > 0 {
		os.Exit(1)
	}
}

// read sorts the calls of a history by the registers that they concern.
func read(path string) (members, identities map[string][]porcupine.Operation, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	members, identities = map[string][]porcupine.Operation{}, map[string][]porcupine.Operation{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for number := 1; lines.Scan(); number++ {
		var c call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", number, err)
		}
		if c.Op == "" || c.Outcome == "refused" || !c.isWrite() && !c.isExactRead() {
			continue
		}
		operation := porcupine.Operation{Input: c, Call: c.Begin, Return: c.End}
		if c.Outcome == "unclear" {
			operation.Return = never
		}
		if c.Member != "" {
			members[c.Member] = append(members[c.Member], operation)
		}
		if c.Identity != "" {
			identities[c.Identity] = append(identities[c.Identity], operation)
		}
	}
	return members, identities, lines.Err()
}

func check(name string, model porcupine.Model, operations []porcupine.Operation, timeout time.Duration) *finding {
	for i := range operations {
		operations[i].ClientId = i // a caller's unclear call is still under way when its next one begins
	}
	result, information := porcupine.CheckOperationsVerbose(model, operations, timeout)
	found := finding{Register: name, Operations: len(operations), At: operations[0].Call}
	switch result {
	case porcupine.Ok:
		return nil
	case porcupine.Illegal:
		found.Result = "illegal"
		if stuck := firstOutside(operations, information); stuck != nil {
			found.At = stuck.Call
			found.Text = describe(stuck.Input.(call)) + " fits nowhere"
		}
	default:
		found.Result = "unknown"
		found.Text = fmt.Sprintf("could not be decided within %s: run it again with a longer -timeout", timeout)
	}
	return &found
}

// firstOutside is the call that returned first of those that the longest order lacks.
func firstOutside(operations []porcupine.Operation, information porcupine.LinearizationInfo) *porcupine.Operation {
	inside := map[int]bool{}
	for _, partition := range information.PartialLinearizations() {
		for _, order := range partition {
			if len(order) > len(inside) {
				inside = map[int]bool{}
				for _, index := range order {
					inside[index] = true
				}
			}
		}
	}
	var stuck *porcupine.Operation
	for i := range operations {
		if !inside[i] && (stuck == nil || operations[i].Return < stuck.Return) {
			stuck = &operations[i]
		}
	}
	return stuck
}

func describe(c call) string {
	what := c.Member
	if c.Identity != "" {
		what = c.Identity + " of " + what
	}
	return fmt.Sprintf("%s of %s at %s by %s (%d..%d ns, %s, status %d, version %d, value %s)", c.Op, what, c.Server, c.Caller, c.Begin,
		c.End, c.Outcome, c.Status, c.Version, c.Value)
}

func sorted(registers map[string][]porcupine.Operation) []string {
	names := make([]string, 0, len(registers))
	for name := range registers {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
