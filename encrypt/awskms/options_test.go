package awskms

import (
	"strings"
	"testing"
)

func TestOptionErrors(t *testing.T) {
	alone(t)
	const arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	for want, change := range map[string]func(*Options){
		"key: is missing":                                   func(o *Options) { o.Key = "" },
		`key: "my key" is no id, ARN or alias`:              func(o *Options) { o.Key = "my key" },
		`key: "arn:aws:s3:::bucket" is no id, ARN or alias`: func(o *Options) { o.Key = "arn:aws:s3:::bucket" },
		"region: \"Europe\" is no region":                   func(o *Options) { o.Region = "Europe" },
		"region: is missing":                                func(o *Options) { o.Region = "" },
		"region: eu-central-2, and the key is in eu-west-1": func(o *Options) { o.Key = arn },
		"access_key and secret_key: set both or none":       func(o *Options) { o.SecretKey = "" },
		"session_token: needs access_key":                   func(o *Options) { o.AccessKey, o.SecretKey, o.SessionToken = "", "", "canary" },
		"profile: set it or access_key":                     func(o *Options) { o.Profile = "a" },
		"profile: ":                                         func(o *Options) { o.AccessKey, o.SecretKey, o.Profile = "", "", "none-such" },
		"fips: set it or endpoint":                          func(o *Options) { o.FIPS = true },
		"endpoint: is no URL":                               func(o *Options) { o.Endpoint = "https://a:canary@host" },
		`endpoint: "kms.example": want a URL`:               func(o *Options) { o.Endpoint = "kms.example" },
		`endpoint: "https://host/path": want scheme`:        func(o *Options) { o.Endpoint = "https://host/path" },
		`endpoint: "http://kms.example": want https`:        func(o *Options) { o.Endpoint = "http://kms.example" },
	} {
		o := settings("http://127.0.0.1:1", fakeRegion)
		o.SecretKey = "canary"
		change(&o)
		p, err := Open(t.Context(), o)
		if p != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// The region comes from the settings, the key, or AWS's environment, in this order.
func TestRegion(t *testing.T) {
	alone(t)
	t.Setenv("AWS_REGION", "sa-east-1")
	for want, change := range map[string]func(*Options){
		"sa-east-1":    func(o *Options) { o.Region = "" },
		"eu-central-2": func(*Options) {},
		"eu-west-1":    func(o *Options) { o.Region, o.Key = "", "arn:aws:kms:eu-west-1:111122223333:alias/seeds" },
	} {
		o := settings("", fakeRegion)
		change(&o)
		if p := opened(t, o); p.region != want {
			t.Errorf("%s, want %s", p.region, want)
		}
	}
}
