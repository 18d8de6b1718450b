package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// judged: the results of a history's registers, as main finds them.
func judged(t *testing.T, lines ...string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	members, identities, err := read(path)
	if err != nil {
		t.Fatal(err)
	}
	var results []string
	for name, operations := range members {
		if found := check(name, memberModel, operations, 10*time.Second); found != nil {
			results = append(results, found.Result)
		}
	}
	for name, operations := range identities {
		if found := check(name, identityModel, operations, 10*time.Second); found != nil {
			results = append(results, found.Result)
		}
	}
	return results
}

const (
	born    = `{"op":"register","begin":0,"end":1,"outcome":"ok","status":201,"member":"1","number":"a","version":1,"value":"a"}`
	second  = `{"op":"update","begin":10,"end":20,"outcome":"ok","status":200,"member":"1","number":"b","version":2,"value":"b"}`
	maybe   = `{"op":"update","begin":10,"end":20,"outcome":"unclear","status":503,"member":"1","number":"b"}`
	refused = `{"op":"update","begin":10,"end":20,"outcome":"refused","status":503,"member":"1","number":"b"}`
	sees1   = `{"op":"get","begin":30,"end":40,"outcome":"ok","status":200,"member":"1","version":1,"value":"a","source":"primary","age_ms":0}`
	sees2   = `{"op":"get","begin":50,"end":60,"outcome":"ok","status":200,"member":"1","version":2,"value":"b","source":"primary","age_ms":0}`
	again1  = `{"op":"get","begin":70,"end":80,"outcome":"ok","status":200,"member":"1","version":1,"value":"a","source":"primary","age_ms":0}`
	copied1 = `{"op":"get","begin":70,"end":80,"outcome":"ok","status":200,"member":"1","version":1,"value":"a","source":"replica","age_ms":65}`
	cached1 = `{"op":"get","begin":70,"end":80,"outcome":"ok","status":200,"member":"1","version":1,"value":"a","source":"redis","age_ms":0}`
	missing = `{"op":"get","begin":70,"end":80,"outcome":"ok","status":404,"member":"1","source":"primary","age_ms":0}`
	wrong   = `{"op":"update","begin":21,"end":22,"outcome":"ok","status":200,"member":"1","number":"c","version":2,"value":"c"}`
	mistook = `{"op":"update","begin":21,"end":22,"outcome":"ok","status":200,"member":"1","number":"c","condition":1,"version":3,"value":"c"}`
	look    = `{"look":"topology","server":"a1","writer":"A"}`

	bound   = `{"op":"bind","begin":10,"end":20,"outcome":"ok","status":200,"member":"1","identity":"K","version":2,"value":"a"}`
	noop    = `{"op":"bind","begin":21,"end":22,"outcome":"ok","status":200,"member":"1","identity":"K","version":2,"value":"a"}`
	taken   = `{"op":"bind","begin":30,"end":40,"outcome":"ok","status":200,"member":"2","identity":"K","version":2,"value":"z"}`
	freed   = `{"op":"unbind","begin":25,"end":35,"outcome":"ok","status":200,"member":"1","identity":"K","version":3,"value":"a"}`
	other   = `{"op":"register","begin":0,"end":1,"outcome":"ok","status":201,"member":"2","number":"z","version":1,"value":"z"}`
	nobody  = `{"op":"resolve","begin":21,"end":22,"outcome":"ok","status":404,"identity":"K","source":"primary","age_ms":0}`
	is1     = `{"op":"resolve","begin":41,"end":42,"outcome":"ok","status":200,"member":"1","identity":"K","holder":"1","version":3,"value":"a","source":"primary","age_ms":0}`
	is2     = `{"op":"resolve","begin":41,"end":42,"outcome":"ok","status":200,"member":"2","identity":"K","holder":"2","version":2,"value":"z","source":"primary","age_ms":0}`
	unbinds = `{"op":"unbind","begin":25,"end":35,"outcome":"unclear","status":0,"member":"1","identity":"K"}`
)

func TestLinearizable(t *testing.T) {
	for name, lines := range map[string][]string{
		"one after the other":          {look, born, second, sees2},
		"unclear and never done":       {born, maybe, sees1, again1},
		"unclear and done later":       {born, maybe, sees1, sees2},
		"refused":                      {born, refused, sees1},
		"a read that says its age":     {born, second, sees2, copied1},
		"a cache of what is unclear":   {born, maybe, sees2, cached1},
		"bound twice":                  {born, bound, noop},
		"handed over":                  {born, other, bound, freed, taken, is2},
		"handed over, the unbind lost": {born, other, bound, unbinds, taken, is2},
	} {
		if results := judged(t, lines...); results != nil {
			t.Errorf("%s: %v", name, results)
		}
	}
}

func TestNotLinearizable(t *testing.T) {
	for name, lines := range map[string][]string{
		"an old read":              {born, second, sees1},
		"back again":               {born, maybe, sees2, again1},
		"refused and seen":         {born, refused, sees2},
		"gone":                     {born, missing},
		"one version twice":        {born, second, wrong},
		"If-Match did not":         {born, second, mistook},
		"nobody although somebody": {born, bound, nobody},
		"of two":                   {born, other, bound, taken},
		"still of the one before":  {born, other, bound, freed, taken, is1},
	} {
		if results := judged(t, lines...); len(results) == 0 || results[0] != "illegal" {
			t.Errorf("%s: %v", name, results)
		}
	}
}

func TestUndecidedIsTold(t *testing.T) {
	operations := []porcupine.Operation{{Input: call{Op: "register", Outcome: "ok", Version: 1, Number: "a"}, Call: 0, Return: 1}}
	// Forty that may or may not be done, in any order, before what fits to none of them.
	for i := int64(0); i < 40; i++ {
		operations = append(operations, porcupine.Operation{Input: call{Op: "update", Outcome: "unclear", Number: string(rune('A' + i))}, Call: 2, Return: never})
	}
	operations = append(operations, porcupine.Operation{Input: call{Op: "get", Outcome: "ok", Status: 200, Version: 30, Value: "nobody's"}, Call: 50, Return: 60})
	found := check("member 1", memberModel, operations, 50*time.Millisecond)
	if found == nil || found.Result != "unknown" || !strings.Contains(found.Text, "-timeout") {
		t.Errorf("%+v", found)
	}
}
