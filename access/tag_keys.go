package access

import "strings"

// Some condition keys end in the key of a tag: s3:ExistingObjectTag/team. The name
// before the slash ignores case, as all names of condition keys do. With aws: the tag's
// key ignores case as well. With s3: it does not, for an object may have tags team and
// Team; but whoever wrote a policy may have meant either. So a statement that denies
// applies if it does with the tag of exactly that key, or with all that differ from it in
// case alone; one that allows has to in both readings.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html

// folded begins the names under which a Context has the tags once more, without regard
// to the case of their keys. No condition key begins so.
const folded = "~"

// normalKey is the name of a condition key as a Context has it: in lower case, but for
// the key of a tag after s3:.
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

// foldedTag is the name under which a Context has the tags of a normal key whatever
// their case; empty for a key whose normal name says that already.
func foldedTag(key string) string {
	family := familyOf(key)
	if family == key || !strings.HasPrefix(family, "s3:") {
		return ""
	}
	return folded + family + FoldCase(key[len(family):])
}

// FoldCase makes texts equal that differ in case alone, in any script.
func FoldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// AddTag adds a tag under a family of keys, such as "s3:ExistingObjectTag/".
func (c Context) AddTag(family, key, value string) { c.Add(family+key, value) }

// Add adds values of a condition key as a policy may write it, such as aws:TagKeys.
func (c Context) Add(key string, values ...string) {
	name := normalKey(key)
	c[name] = append(c[name], values...)
	if name = foldedTag(name); name != "" {
		c[name] = append(c[name], values...)
	}
}
