package access

import "strings"

// Some condition keys end in a tag's key: s3:ExistingObjectTag/team. The part
// before the slash ignores case, like all condition keys. With aws: the tag's
// key ignores case too. With s3: it does not, because an object may have tags
// team and Team; but the policy's author may have meant either. So a statement
// that denies applies if it does with the tag of exactly that key, or with all
// tags that differ in case only. A statement that allows must apply in both
// readings.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html

// folded begins the names under which a Context has the tags a second time,
// regardless of case. No condition key begins with it.
const folded = "~"

// normalKey is the name of a condition key in a Context: in lower case, except
// for a tag's key after s3:.
func normalKey(key string) string {
	family, tag, found := strings.Cut(key, "/")
	if family = strings.ToLower(family); !found {
		return family
	}
	if !strings.HasPrefix(family, "s3:") {
		tag = FoldCase(tag)
	}
	return family + "/" + tag
}

// foldedTag is the name under which a Context has the tags of a normal key
// regardless of case; empty for a key that already ignores case.
func foldedTag(key string) string {
	family := familyOf(key)
	if family == key || !strings.HasPrefix(family, "s3:") {
		return ""
	}
	return folded + family + FoldCase(key[len(family):])
}

// FoldCase maps texts that differ in case only, in any script, to the same
// text.
func FoldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// tagKeyLists are the condition keys whose values are the keys of tags that
// ignore case in their own condition keys. Their values are compared exactly, and
// a second time regardless of case, under the same rule: somebody who must not
// set team must not set Team either, because aws:PrincipalTag/team is both.
var tagKeyLists = map[string]bool{"aws:tagkeys": true, "sts:transitivetagkeys": true}

// foldedTwin returns the condition that compares regardless of case, for a key in
// tagKeyLists; else nil. The names of variables are folded with the values, which
// changes only those of an object's tags; no request about tag keys has these.
func (c *condition) foldedTwin(values []string, variables bool) *condition {
	if !tagKeyLists[c.key] {
		return nil
	}
	again, bad := *c, 0
	if again.operands, bad = c.op.compile(sortedOnce(foldAll(values)), variables); bad >= 0 {
		return nil // not an operator of texts
	}
	return &again
}

// folding is the env in which variables have their values regardless of case.
func (e *env) folding() *env {
	f := *e
	f.fold = true
	return &f
}

// foldAll is FoldCase for each text.
func foldAll(all []string) []string {
	folded := make([]string, len(all))
	for i, s := range all {
		folded[i] = FoldCase(s)
	}
	return folded
}

// AddTag adds a tag under a family of keys, such as "s3:ExistingObjectTag/".
func (c Context) AddTag(family, key, value string) { c.Add(family+key, value) }

// Add adds values of a condition key, spelled as in a policy, such as
// aws:TagKeys.
func (c Context) Add(key string, values ...string) {
	name := normalKey(key)
	c[name] = append(c[name], values...)
	if name = foldedTag(name); name != "" {
		c[name] = append(c[name], values...)
	}
}
