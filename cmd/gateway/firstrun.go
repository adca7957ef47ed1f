package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sanctum-storage/gateway/accounts"
	"github.com/sanctum-storage/gateway/plainfile"
)

const (
	// firstName is the file of the root credential in the data folder, where the first
	// start had no terminal to show it on.
	firstName    = "root-credential"
	maxFirstFile = 4 << 10 // bytes
)

// reveal shows a root credential that was just generated, this once: on a terminal, for
// what is written anywhere else ends in journals and logs that others read and nobody
// clears. Without one it is left in a file that only this user can read, and the log
// says where.
func (p *process) reveal(cred accounts.Credential) error {
	if isTerminal(p.stdout) {
		return welcome(p.stdout, cred, p.s3URL(), &p.Settings)
	}
	path, err := filepath.Abs(filepath.Join(p.Data, firstName))
	if err != nil {
		return err
	}
	if err := leaveCredential(path, cred); err != nil {
		return err
	}
	p.log.Warn("a root credential was made; take it from the file and remove that", "access_key", cred.AccessKey, "file", path)
	return nil
}

// leaveCredential writes a credential into a new file, as lines that a shell reads.
func leaveCredential(path string, cred accounts.Credential) error {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, from another deployment: move it away", path)
	} else if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `# The root credential of Sanctum Gateway, which is nowhere else. Keep it, and remove this file.
export AWS_ACCESS_KEY_ID=%[1]s AWS_SECRET_ACCESS_KEY=%[2]s
export SANCTUM_ACCESS_KEY=%[1]s SANCTUM_SECRET_KEY=%[2]s
`, cred.AccessKey, cred.SecretKey)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// accessKeyFirstCommand shows the file where there is no other program to do it, as in
// the image.
func accessKeyFirstCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "first",
		Short: "Print the root credential that the first start left in the data folder",
		Long: `Print the root credential that the first start left in the data folder, because it
had no terminal to show it on: lines that a shell reads. With --remove the file is
removed afterwards, and the credential is nowhere else.`,
		Args: cobra.NoArgs,
	}
	remove := cmd.Flags().Bool("remove", false, "remove the file once it is printed")
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return usage(err)
		}
		path := filepath.Join(c.Data, firstName)
		text, err := plainfile.ReadSecret(path, maxFirstFile)
		if errors.Is(err, fs.ErrNotExist) {
			return failed(fmt.Errorf("there is no %s: it was shown on a terminal, or removed, or access_key was set", path))
		} else if err != nil {
			return failed(err)
		}
		if _, err := cmd.OutOrStdout().Write(text); err != nil {
			return failed(err)
		}
		if *remove {
			return failed(os.Remove(path))
		}
		return nil
	}
	return cmd
}

// welcome prints a root credential that was just generated, with lines to paste.
// It is the only time that the secret is shown.
func welcome(w io.Writer, cred accounts.Credential, url string, s *Settings) error {
	_, err := fmt.Fprintf(w, `Sanctum Gateway serves S3 at %[1]s

  access key  %[3]s
  secret key  %[4]s

The secret is shown this once and cannot be shown again: keep it.

aws-cli:
  export AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s AWS_DEFAULT_REGION=%[2]s
  aws --endpoint-url %[1]s s3 mb s3://first-bucket
  aws --endpoint-url %[1]s s3 cp README.md s3://first-bucket/
  aws --endpoint-url %[1]s s3 ls s3://first-bucket

boto3, which signs URLs by an old method unless told otherwise (s3.signature_v2 is %[5]s here):
  boto3.client("s3", endpoint_url="%[1]s", region_name="%[2]s", config=botocore.config.Config(signature_version="s3v4"))

rclone:
  rclone config create sanctum s3 provider=Other endpoint=%[1]s region=%[2]s access_key_id=%[3]s secret_access_key=%[4]s
  rclone lsd sanctum:

mc:
  mc alias set sanctum %[1]s %[3]s %[4]s
  mc ls sanctum

gateway tenant, user, accesskey and bucket:
  export SANCTUM_ACCESS_KEY=%[3]s SANCTUM_SECRET_KEY=%[4]s
  gateway tenant create alice

`, url, s.region(), cred.AccessKey, cred.SecretKey, s.S3SignatureV2)
	return err
}
