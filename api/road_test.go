package api

import (
	"slices"
	"testing"
)

// The order of the stages is the security of the gateway: a change of it changes this
// list too, and says why.
func TestRoad(t *testing.T) {
	want := []string{
		"bound the header",
		"answer websites",
		"cut the target",
		"answer IAM and STS",
		"resolve the operation",
		"answer preflights",
		"verify the signature",
		"verify a form",
		"take a place",
		"read what is asked",
		"hold the tenant and user against their limits",
		"find the bucket and object",
		"decide",
		"refuse a body that cannot be taken",
		"hold the bucket against its limits",
		"refuse what is not implemented or malformed",
		"take places for a document",
		"open the body",
		"decide about the document",
		"carry it out",
	}
	var got []string
	for _, stage := range road {
		got = append(got, stage.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the stages of a request are %q, want %q", got, want)
	}
}
