package googleauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"

	"github.com/sanctum-storage/gateway/plainfile"
)

// defaultSource returns application default credentials: those of the named file,
// of gcloud, or of the metadata server. It replaces Google's package, which would
// read the files again after they were checked, and the server's responses without
// a bound.
// https://cloud.google.com/docs/authentication/application-default-credentials
func defaultSource(ctx context.Context, client *http.Client, scope string) (oauth2.TokenSource, error) {
	path := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS")
	if home, err := os.UserHomeDir(); path == "" && err == nil { // gcloud's file, which may be absent
		path = filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
		if _, err := os.Lstat(path); err != nil {
			path = ""
		}
	}
	if path != "" {
		data, err := plainfile.Read(path, maxCredentials)
		if err != nil {
			return nil, err
		}
		return fromJSON(ctx, data, scope)
	}
	host := os.Getenv("GCE_METADATA_HOST")
	if host == "" {
		if !metadata.OnGCE() {
			return nil, errors.New("no credentials are given or found, and this machine has no metadata server of Google Cloud")
		}
		host = "169.254.169.254"
	}
	return &metadataSource{client, "http://" + host + "/computeMetadata/v1/instance/service-accounts/default/token?" + url.Values{"scopes": {scope}}.Encode()}, nil
}

// metadataSource gets tokens from the metadata server of a machine in Google Cloud.
// https://cloud.google.com/compute/docs/access/authenticate-workloads#applications
type metadataSource struct {
	client *http.Client
	url    string
}

// Token implements oauth2.TokenSource.
func (m *metadataSource) Token() (*oauth2.Token, error) {
	req, err := http.NewRequest(http.MethodGet, m.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Metadata-Flavor", "Google")
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &oauth2.RetrieveError{Response: resp}
	}
	var t oauth2.Token
	if err := json.NewDecoder(resp.Body).Decode(&t); err != nil || t.AccessToken == "" {
		return nil, errors.New("the metadata server's answer has no token")
	}
	t.Expiry = time.Now().Add(time.Duration(t.ExpiresIn) * time.Second)
	return &t, nil
}
