package outbound

import (
	"strings"
	"testing"
)

func TestParseEndpoint(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://storage.example.com":               true,
		"https://storage.example.com:8443":          true,
		"http://[::1]:9000":                         true,
		"https://storage.example.com/":              false,
		"https://storage.example.com?a=b":           false,
		"https://storage.example.com#a":             false,
		"https://user:hunter2@storage.example.com":  false,
		"https://user:hunter2@storage.example.com:": false,
		"https://%zz:hunter2@storage":               false,
		"ftp://storage.example.com":                 false,
		"storage.example.com":                       false,
		"https://":                                  false,
		"":                                          false,
	} {
		u, err := ParseEndpoint(text, "https://example.com")
		if (err == nil) != ok || (u != nil) != ok {
			t.Errorf("%q: %v, %v", text, u, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats a password: %v", err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, here := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.8.9.1": true, "::1": true,
		"": false, "0.0.0.0": false, "localhost.example.com": false, "10.0.0.1": false, "127.0.0.1.example.com": false,
	} {
		if Loopback(host) != here {
			t.Errorf("%q", host)
		}
	}
}
