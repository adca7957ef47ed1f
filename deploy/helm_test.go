//go:build linux && clients

package deploy

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sanctum-storage/gateway/internal/servers"
)

const chart = "deploy/helm/sanctum-gateway"

// object is what the tests read of a Kubernetes object.
type object struct {
	Kind     string
	Metadata struct {
		Name        string
		Annotations map[string]string
	}
	Data map[string]string
	Spec struct {
		Replicas int
		Selector any
		Strategy struct {
			RollingUpdate struct {
				MaxSurge       int `yaml:"maxSurge"`
				MaxUnavailable int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		}
		Ports []struct {
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
		VolumeClaimTemplates []struct{ Metadata struct{ Name string } } `yaml:"volumeClaimTemplates"`
		Template             struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		Rules []struct {
			HTTP struct {
				Paths []struct {
					Backend struct{ Service struct{ Name string } }
				}
			}
		}
	}
}

type pod struct {
	SecurityContext              map[string]any `yaml:"securityContext"`
	AutomountServiceAccountToken *bool          `yaml:"automountServiceAccountToken"`
	EnableServiceLinks           *bool          `yaml:"enableServiceLinks"`
	Containers                   []container
	Volumes                      []map[string]any
	Grace                        int `yaml:"terminationGracePeriodSeconds"`
}

type container struct {
	Image           string
	Args            []string
	SecurityContext map[string]any `yaml:"securityContext"`
	Env             []variable
	Ports           []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	StartupProbe   probe `yaml:"startupProbe"`
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type variable struct {
	Name, Value string
	ValueFrom   struct {
		SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
	} `yaml:"valueFrom"`
}

type probe struct {
	HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
	PeriodSeconds    int                         `yaml:"periodSeconds"`
	TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
	FailureThreshold int                         `yaml:"failureThreshold"`
}

// helm runs Helm over the chart and returns what it prints.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := servers.Helm.Path(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	home := t.TempDir()
	cmd.Dir, cmd.Env = root, []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s%s", err, out.String(), complaint.String())
	}
	return out.String(), nil
}

// noteChart looks at the chart's files: go test repeats an earlier result unless
// a file has changed that the test itself has looked at.
func noteChart(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, chart), func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// render renders the chart and returns its objects by kind and name.
func render(t *testing.T, args ...string) map[string]object {
	t.Helper()
	text, err := helm(t, append([]string{"template", "release", chart}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]object{}
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if o.Kind == "" {
			continue
		}
		name := o.Kind + " " + o.Metadata.Name
		if _, twice := all[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		all[name] = o
	}
}

func TestChart(t *testing.T) {
	noteChart(t)
	if _, err := helm(t, "lint", "--strict", chart); err != nil {
		t.Error(err)
	}
	name := "release-sanctum-gateway"
	cases := map[string]struct {
		args     []string
		workload string
		replicas int
		kinds    []string // beside the workload
	}{
		"nothing": {nil, "StatefulSet " + name, 1,
			[]string{"Service " + name, "Service " + name + "-metrics", "Service " + name + "-pod", "ServiceAccount " + name}},
		"postgres": {[]string{"-f", chart + "/ci/postgres-values.yaml"}, "Deployment " + name, 3,
			[]string{"ConfigMap " + name, "PodDisruptionBudget " + name, "Service " + name, "Service " + name + "-metrics", "ServiceAccount " + name}},
		"everything": {[]string{"-f", chart + "/ci/everything-values.yaml"}, "Deployment s3", 2,
			[]string{"ConfigMap s3", "Ingress s3", "NetworkPolicy s3", "PodDisruptionBudget s3", "Service s3", "Service s3-metrics", "ServiceAccount s3", "ServiceMonitor s3"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			all := render(t, c.args...)
			w, ok := all[c.workload]
			if !ok || w.Spec.Replicas != c.replicas {
				t.Fatalf("no %s with %d replicas in %v", c.workload, c.replicas, all)
			}
			var others []string
			for name := range all {
				if name != c.workload {
					others = append(others, name)
				}
			}
			slices.Sort(others)
			if !slices.Equal(others, c.kinds) {
				t.Errorf("objects %q, want %q", others, c.kinds)
			}
			checkPod(t, w)
			checkPorts(t, w, all)
			checkSettings(t, w.Spec.Template.Spec.Containers[0].Env, all)
		})
	}
}

// checkPod looks at what the pod may do and whether it has what it mounts.
func checkPod(t *testing.T, w object) {
	t.Helper()
	p := w.Spec.Template.Spec
	if p.SecurityContext["runAsNonRoot"] != true || p.SecurityContext["fsGroupChangePolicy"] != "OnRootMismatch" ||
		p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken || p.EnableServiceLinks == nil || *p.EnableServiceLinks {
		t.Errorf("pod: %+v", p.SecurityContext)
	}
	c := p.Containers[0]
	if c.SecurityContext["readOnlyRootFilesystem"] != true || c.SecurityContext["allowPrivilegeEscalation"] != false || strings.HasSuffix(c.Image, ":") {
		t.Errorf("container: %+v, image %s", c.SecurityContext, c.Image)
	}
	var volumes []string
	for _, v := range p.Volumes {
		volumes = append(volumes, v["name"].(string))
	}
	for _, v := range w.Spec.VolumeClaimTemplates {
		volumes = append(volumes, v.Metadata.Name)
	}
	for _, m := range c.VolumeMounts {
		if !slices.Contains(volumes, m.Name) {
			t.Errorf("%s is mounted and not there", m.Name)
		}
	}
	if len(volumes) != len(c.VolumeMounts) {
		t.Errorf("volumes %q, mounts %v", volumes, c.VolumeMounts)
	}
}

// checkPorts follows probes, services and the ingress to the container's ports.
func checkPorts(t *testing.T, w object, all map[string]object) {
	t.Helper()
	c := w.Spec.Template.Spec.Containers[0]
	ports := map[string]int{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for want, p := range map[string]probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe, "/livez ": c.StartupProbe} {
		if p.HTTPGet.Path != strings.TrimSpace(want) || p.HTTPGet.Port != "metrics" || ports["metrics"] != 9002 {
			t.Errorf("probe of %s: %+v", want, p)
		}
	}
	for name, o := range all {
		if o.Kind != "Service" {
			continue
		}
		for _, p := range o.Spec.Ports {
			if ports[p.TargetPort] == 0 {
				t.Errorf("%s leads to the port %s, which there is not", name, p.TargetPort)
			}
		}
		for key, value := range o.Spec.Selector.(map[string]any) {
			if w.Spec.Template.Metadata.Labels[key] != value {
				t.Errorf("%s selects %s=%v, which the pod is not", name, key, value)
			}
		}
	}
	for name, o := range all {
		for _, r := range o.Spec.Rules {
			if _, ok := all["Service "+r.HTTP.Paths[0].Backend.Service.Name]; !ok {
				t.Errorf("%s leads to a service that there is not", name)
			}
		}
	}
}

// checkSettings gives the gateway the pod's environment and configuration file,
// with something in the place of each secret.
func checkSettings(t *testing.T, env []variable, all map[string]object) {
	t.Helper()
	dir := t.TempDir()
	cert, err := servers.NewCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	var given []string
	for _, v := range env {
		ref := v.ValueFrom.SecretKeyRef
		switch {
		case v.Name == "SANCTUM_CONFIG":
			v.Value = filepath.Join(dir, "gateway.yaml")
			for _, o := range all {
				if o.Kind == "ConfigMap" {
					if err := os.WriteFile(v.Value, []byte(o.Data["gateway.yaml"]), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		case v.Name == "SANCTUM_TLS_CERT_FILE":
			v.Value = cert.CertFile
		case v.Name == "SANCTUM_TLS_KEY_FILE":
			v.Value = cert.KeyFile
		case v.Name == "SANCTUM_STORE_URL":
			v.Value = "postgres://user:password@host:5432/database"
		case ref.Name != "":
			v.Value = "SECRET" + rand.Text()
		case v.Value == "":
			t.Errorf("%s is empty", v.Name)
		}
		if (ref.Name == "") != (ref.Key == "") {
			t.Errorf("%s refers to half a secret", v.Name)
		}
		given = append(given, v.Name+"="+v.Value)
	}
	if len(given) < 5 {
		t.Errorf("only %q", given)
	}
	checkConfig(t, given...)
}

// Values that would lose data or cannot work are refused with the reason.
func TestChartRefuses(t *testing.T) {
	noteChart(t)
	postgres := []string{"-f", chart + "/ci/postgres-values.yaml"}
	cases := map[string]struct {
		args []string
		want string
	}{
		"two on SQLite":        {[]string{"--set", "replicas=2"}, "replicas above 1 need store.existingSecret"},
		"no key file":          {append(postgres, "--set", "keyring.existingSecret="), "keyring.existingSecret"},
		"no root credential":   {append(postgres, "--set", "rootCredential.existingSecret="), "rootCredential.existingSecret"},
		"no backend":           {append(postgres, "--set", "config.backends=null"), "config.backends"},
		"blobs in the pod":     {append(postgres, "--set", "config.backends.main.type=fs"), "config.backends.main has type fs"},
		"ingress without host": {[]string{"--set", "ingress.enabled=true"}, "ingress.host"},
		"an unknown value":     {[]string{"--set", "replica=1"}, "replica"},
		"a wrong type":         {[]string{"--set", "replicas=many"}, "replicas"},
		"a secret by value":    {[]string{"--set", "secretEnv.SANCTUM_SECRET_KEY=hunter2"}, "secretEnv"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := helm(t, append([]string{"template", "release", chart}, slices.Clone(c.args)...)...)
			if err == nil {
				t.Fatalf("rendered:\n%s", text)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %s", err, c.want)
			}
		})
	}
}
