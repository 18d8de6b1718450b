package main

import "github.com/anishathalye/porcupine"

// content is what a member's register holds; version 0: there is no such member.
type content struct {
	Version int64
	Number  string
}

// A member is a register that counts its writes: each raises the version by one, and tells it.
var memberModel = porcupine.Model{
	Init: func() interface{} { return content{} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		return stepMember(state.(content), input.(call))
	},
	Equal: func(one, other interface{}) bool { return one == other },
}

func stepMember(now content, c call) (bool, interface{}) {
	if c.Outcome == "unclear" {
		return true, unclearMember(now, c)
	}
	switch c.Op {
	case "register":
		return now.Version == 0 && c.Version == 1, content{1, c.Number}
	case "update":
		fits := now.Version == c.Version-1 && now.Version > 0 && (c.Condition == nil || *c.Condition == now.Version)
		return fits, content{c.Version, c.Number}
	case "bind", "unbind":
		// A bind of what it already holds changes nothing.
		fits := now.Version == c.Version-1 || c.Op == "bind" && now.Version == c.Version
		return fits && now.Number == c.Value, content{c.Version, now.Number}
	}
	if c.Status == 404 {
		return now.Version == 0, now
	}
	return now == content{c.Version, c.Value}, now
}

// unclearMember: what is done if it is done now. That it never is, is the same as after everything else.
func unclearMember(now content, c call) content {
	if now.Version == 0 || c.Condition != nil && *c.Condition != now.Version {
		return now
	}
	if c.Op == "update" {
		return content{now.Version + 1, c.Number}
	}
	return content{now.Version + 1, now.Number}
}

// An identity is a register of its holder's id; empty: nobody.
var identityModel = porcupine.Model{
	Init: func() interface{} { return "" },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		return stepIdentity(state.(string), input.(call))
	},
	Equal: func(one, other interface{}) bool { return one == other },
}

func stepIdentity(now string, c call) (bool, interface{}) {
	is, free := now == c.Member, now == ""
	switch {
	case c.Op == "bind" && c.Outcome == "unclear":
		if free {
			return true, c.Member
		}
		return true, now
	case c.Op == "unbind" && c.Outcome == "unclear":
		if is {
			return true, ""
		}
		return true, now
	case c.Op == "bind":
		return free || is, c.Member
	case c.Op == "unbind":
		return is, ""
	case c.Holder == nil:
		return free, now
	}
	return now == *c.Holder, now
}
