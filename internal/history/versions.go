package history

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Kinds of requests for buckets with versions only. Get, Put, PutNew, PutIf, Delete
// and DeleteIf have their usual meaning, except that a deletion makes a delete
// marker.
const (
	GetVersion    Kind = "get-version"
	DeleteVersion Kind = "delete-version" // for good
	ListVersions  Kind = "list-versions"
	Enable        Kind = "enable"  // of all keys
	Suspend       Kind = "suspend" // of all keys
)

// Null is the name of the null version.
const Null = "null"

// VersionRequest is a request to a bucket that keeps versions.
type VersionRequest struct {
	Kind    Kind
	Key     string // empty: Enable and Suspend
	Value   string // written; unlike any other
	Old     string // demanded by PutIf and DeleteIf
	Version string // named by GetVersion and DeleteVersion
}

// VersionAnswer is the recorded answer. Requests that certainly had no effect and
// say nothing are not part of a history. No outcome is unknown.
type VersionAnswer struct {
	Refused bool          // the condition did not hold
	Version string        // that was written or marked; Get: that was read
	Value   string        // read
	Marker  bool          // GetVersion and DeleteVersion: it is, or was, a marker
	All     []KeptVersion // ListVersions: the newest first
}

// KeptVersion is a version of a key. Value is empty exactly for a delete marker.
type KeptVersion struct{ Version, Value string }

// stack is a key's state: its versions, the newest first, as "version=value;" each.
type stack struct {
	suspended bool
	all       string
}

// Versions is the order in which S3 promises that requests take effect, key by key,
// in a bucket whose versioning is enabled at first. Enabling and suspending take
// effect on each key at its own moment between call and answer.
var Versions = porcupine.Model{
	Partition: partitionVersions,
	Init:      func() any { return stack{} },
	Step: func(state, input, output any) (bool, any) {
		return stepVersions(state.(stack), input.(VersionRequest), output.(VersionAnswer))
	},
	DescribeOperation: func(input, output any) string {
		return describeVersions(input.(VersionRequest), output.(VersionAnswer))
	},
	DescribeState: func(state any) string { return fmt.Sprintf("%+v", state) },
}

func partitionVersions(history []porcupine.Operation) (parts [][]porcupine.Operation) {
	keys := make(map[string]bool)
	for _, o := range history {
		keys[o.Input.(VersionRequest).Key] = true
	}
	delete(keys, "")
	for key := range keys {
		parts = append(parts, slices.DeleteFunc(slices.Clone(history), func(o porcupine.Operation) bool {
			k := o.Input.(VersionRequest).Key
			return k != "" && k != key
		}))
	}
	return parts
}

func (s stack) versions() (all []KeptVersion) {
	for entry := range strings.SplitSeq(s.all, ";") {
		if version, value, ok := strings.Cut(entry, "="); ok {
			all = append(all, KeptVersion{version, value})
		}
	}
	return all
}

func (s stack) named(version string) (KeptVersion, bool) {
	for _, v := range s.versions() {
		if v.Version == version {
			return v, true
		}
	}
	return KeptVersion{}, false
}

func (s stack) without(version string) stack {
	if v, ok := s.named(version); ok {
		s.all = strings.Replace(s.all, v.Version+"="+v.Value+";", "", 1)
	}
	return s
}

// push makes a version current. While versioning is suspended, it is the null
// version and replaces the earlier one.
func (s stack) push(version, value string) (bool, stack) {
	if s.suspended != (version == Null) {
		return false, s
	}
	if _, taken := s.named(version); taken && !s.suspended {
		return false, s
	}
	next := s.without(Null)
	if !s.suspended {
		next = s
	}
	next.all = version + "=" + value + ";" + next.all
	return true, next
}

func stepVersions(s stack, in VersionRequest, out VersionAnswer) (bool, stack) {
	var current KeptVersion
	if all := s.versions(); len(all) > 0 {
		current = all[0]
	}
	switch in.Kind {
	case Enable, Suspend:
		s.suspended = in.Kind == Suspend
		return true, s
	case Get:
		return out.Value == current.Value && (out.Value == "" || out.Version == current.Version), s
	case ListVersions:
		return slices.Equal(out.All, s.versions()), s
	case GetVersion:
		v, ok := s.named(in.Version)
		return out.Value == v.Value && out.Marker == (ok && v.Value == ""), s
	case DeleteVersion:
		v, ok := s.named(in.Version)
		return out.Marker == (ok && v.Value == ""), s.without(in.Version)
	}
	holds := true
	switch in.Kind {
	case PutNew:
		holds = current.Value == ""
	case PutIf, DeleteIf:
		holds = current.Value != "" && current.Value == in.Old
	}
	if !holds || out.Refused {
		return holds != out.Refused, s
	}
	return s.push(out.Version, in.Value) // of a deletion, nothing
}

func describeVersions(in VersionRequest, out VersionAnswer) string {
	text := fmt.Sprintf("%s %.8s %.8s %.8s", in.Kind, in.Version, in.Old, in.Value)
	if out.Refused {
		return text + ": refused"
	}
	text += fmt.Sprintf(": %.8s %.8s", out.Version, out.Value)
	if out.Marker {
		text += " marker"
	}
	for _, v := range out.All {
		text += fmt.Sprintf(" %.8s=%.8s", v.Version, v.Value)
	}
	return text
}

// ReturnVersions is Return for a bucket with versions.
func (l *Log) ReturnVersions(client int, call int64, in VersionRequest, out VersionAnswer) {
	l.add(porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: l.clock.Add(1)})
}

// CheckVersions is Check for a bucket with versions.
func CheckVersions(dir string, seed uint64, history []porcupine.Operation) error {
	return check(Versions, dir, seed, history)
}
