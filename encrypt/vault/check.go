package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sanctum-storage/gateway/encrypt"
)

// capabilitiesPath answers what a token may do.
const capabilitiesPath = "sys/capabilities-self"

// key is what Transit says of a key.
type key struct {
	Name            string `json:"name"`
	Type            string `json:"type"`
	Derived         bool   `json:"derived"`
	Convergent      bool   `json:"convergent_encryption"`
	Exportable      bool   `json:"exportable"`
	PlaintextBackup bool   `json:"allow_plaintext_backup"`
	SoftDeleted     bool   `json:"soft_deleted"` // OpenBao alone
	LatestVersion   int    `json:"latest_version"`
}

// capabilities are what a token may do, by path. The documentation has the paths at the
// top of the answer; servers put them under "data" as well.
type capabilities map[string][]string

// UnmarshalJSON implements json.Unmarshaler.
func (c *capabilities) UnmarshalJSON(b []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*c = capabilities{}
	_ = json.Unmarshal(all["data"], (*map[string][]string)(c)) // of another form: nothing is allowed by it
	if *c == nil {
		*c = capabilities{}
	}
	for path, raw := range all {
		var may []string
		if json.Unmarshal(raw, &may) == nil && may != nil {
			(*c)[path] = may
		}
	}
	return nil
}

// Check implements encrypt.Provider. It refuses a key that would not keep the promises of
// a provider, and a credential that may do too little, or may create the key.
func (p *Provider) Check(ctx context.Context) error {
	err := p.checkAll(ctx)
	if errors.Is(err, encrypt.ErrUnavailable) && !errors.Is(err, encrypt.ErrDenied) && ctx.Err() == nil {
		return fmt.Errorf("address: %w", err)
	}
	return err
}

func (p *Provider) checkAll(ctx context.Context) error {
	k, err := p.describe(ctx)
	if err != nil {
		return err
	}
	if err := p.checkKey(k); err != nil {
		return err
	}
	if err := p.checkCapabilities(ctx); err != nil {
		return err
	}
	if err := encrypt.CheckRoundTrip(ctx, p); err != nil {
		return err
	}
	c, secret := encrypt.Context{Purpose: "check"}, encrypt.NewSeed()
	defer clear(secret[:])
	wrapped, err := p.Wrap(ctx, c, secret[:])
	if err != nil {
		return err
	}
	_, err = p.Rewrap(ctx, c, wrapped)
	return err
}

// describe asks for the key.
func (p *Provider) describe(ctx context.Context) (key, error) {
	path := p.opts.keyPath("keys")
	var got struct {
		Data key `json:"data"`
	}
	err := p.send(ctx, &call{method: http.MethodGet, path: path, permission: "read on " + path}, &got)
	if errors.Is(err, encrypt.ErrKeyNotFound) {
		err = fmt.Errorf("key: there is no transit key named %s at mount %s: %w", p.opts.Key, p.opts.Mount, err)
	}
	return got.Data, err
}

// checkKey refuses keys by their properties.
func (p *Provider) checkKey(k key) error {
	says := ""
	switch {
	case k.Name != p.opts.Key || k.LatestVersion < 1:
		return fmt.Errorf("vault: %w: the answer to %s is not about the key", encrypt.ErrUnavailable, p.opts.keyPath("keys"))
	case k.SoftDeleted:
		return fmt.Errorf("key: %w: transit key %s is soft-deleted", encrypt.ErrKeyDisabled, k.Name)
	case k.Type != "aes256-gcm96" && k.Type != "chacha20-poly1305":
		says = "has type " + k.Type + "; want aes256-gcm96 or chacha20-poly1305"
	case !k.Derived:
		says = "is not derived, so it would open a seed under any context; create one with derived=true"
	case k.Convergent:
		says = "has convergent encryption, which shows when two seeds are equal; create one without"
	case k.Exportable:
		says = "is exportable: it can leave the service, and that cannot be undone; create one that is not"
	case k.PlaintextBackup:
		says = "allows a backup in plain text, and that cannot be undone; create one that does not"
	default:
		return nil
	}
	return fmt.Errorf("key: %w: transit key %s %s", encrypt.ErrWrongKey, k.Name, says)
}

// checkCapabilities refuses a credential that may do too little. It also refuses one that
// may create the key: a wrap would make a deleted key anew, unnoticed, under the same name.
func (p *Provider) checkCapabilities(ctx context.Context) error {
	paths := []string{p.opts.keyPath("encrypt"), p.opts.keyPath("decrypt"), p.opts.keyPath("rewrap")}
	body := fmt.Appendf(nil, `{"paths":["%s","%s","%s"]}`, paths[0], paths[1], paths[2]) // names need no escapes
	q := &call{method: http.MethodPost, path: capabilitiesPath, permission: "update on " + capabilitiesPath, body: body}
	var got capabilities
	if err := p.send(ctx, q, &got); err != nil {
		return err
	}
	for _, path := range paths {
		may := got[path]
		if !slices.Contains(may, "update") && !slices.Contains(may, "root") {
			return fmt.Errorf("vault: %w: the credential needs update on %s", encrypt.ErrDenied, path)
		}
	}
	if may := got[paths[0]]; slices.Contains(may, "create") || slices.Contains(may, "root") {
		return fmt.Errorf("vault: %w: the credential may create on %s, so a wrap would silently replace a deleted key: give it update alone",
			encrypt.ErrDenied, paths[0])
	}
	return nil
}
