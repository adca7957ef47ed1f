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
	// firstName is the file of the root credential in the data folder, if the
	// first start had no terminal to show it on.
	firstName    = "root-credential"
	maxFirstFile = 4 << 10 // bytes
)

// reveal shows a generated root credential, this one time. It prints it to a
// terminal only: other output ends in journals and logs, which others can read
// and nobody clears. Without a terminal it writes the credential to a file that
// only this user can read, and logs the path.
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
	p.log.Warn("the root credential was generated; copy it from the file and remove the file", "access_key", cred.AccessKey, "file", path)
	return nil
}

// leaveCredential writes a credential into a new file, as lines for a shell.
func leaveCredential(path string, cred accounts.Credential) error {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	// An existing file may be the only copy of another credential.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already, from another deployment: move it away", path)
	} else if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `# The root credential of Sanctum Gateway. It is stored nowhere else: keep it, and remove this file.
export AWS_ACCESS_KEY_ID=%[1]s AWS_SECRET_ACCESS_KEY=%[2]s
export SANCTUM_ACCESS_KEY=%[1]s SANCTUM_SECRET_KEY=%[2]s
`, cred.AccessKey, cred.SecretKey)
	// The credential is stored nowhere else, so it must be on the disk. An
	// incomplete file would look like one.
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// accessKeyFirstCommand prints the file of the root credential. The image needs
// it, because it contains no other program that could.
func accessKeyFirstCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "first",
		Short: "Print the root credential that the first start left in the data folder",
		Long: `Print the root credential that the first start left in the data folder because it had
no terminal. The output is lines for a shell. With --remove the file is removed
afterwards, and the output is the only copy.`,
		Args: cobra.NoArgs,
	}
	remove := cmd.Flags().Bool("remove", false, "remove the file after printing it")
	addSettingFlags(cmd, forFolder)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd, environment())
		if err != nil {
			return usage(err)
		}
		path := filepath.Join(c.Data, firstName)
		text, err := plainfile.ReadSecret(path, maxFirstFile)
		if errors.Is(err, fs.ErrNotExist) {
			return failed(fmt.Errorf("%s does not exist: the credential was shown on a terminal, "+
				"or the file was removed, or access_key was set", path))
		} else if err != nil {
			return failed(err)
		}
		if _, err := cmd.OutOrStdout().Write(text); err != nil {
			return failed(err)
		}
		// After the output has been taken, because it is then the only copy.
		if *remove {
			return failed(os.Remove(path))
		}
		return nil
	}
	return cmd
}

// welcome prints a generated root credential with commands to paste. The secret
// is shown this one time.
func welcome(w io.Writer, cred accounts.Credential, url string, s *Settings) error {
	_, err := fmt.Fprintf(w, `Sanctum Gateway serves S3 at %[1]s

  access key  %[3]s
  secret key  %[4]s

The secret is shown only this once: keep it.

aws-cli:
  export AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s AWS_DEFAULT_REGION=%[2]s
  aws --endpoint-url %[1]s s3 mb s3://first-bucket
  aws --endpoint-url %[1]s s3 cp README.md s3://first-bucket/
  aws --endpoint-url %[1]s s3 ls s3://first-bucket

boto3 (without this signature_version it signs URLs by an old method; s3.signature_v2 is %[5]s here):
  boto3.client("s3", endpoint_url="%[1]s", region_name="%[2]s", config=botocore.config.Config(signature_version="s3v4"))

rclone:
  rclone config create sanctum s3 provider=Other endpoint=%[1]s region=%[2]s access_key_id=%[3]s secret_access_key=%[4]s
  rclone lsd sanctum:

mc:
  mc alias set sanctum %[1]s %[3]s %[4]s
  mc ls sanctum

gateway tenant, user, accesskey and bucket:
  export SANCTUM_ACCESS_KEY=%[3]s SANCTUM_SECRET_KEY=%[4]s
  %[6]s tenant create alice

`, url, s.region(), cred.AccessKey, cred.SecretKey, s.S3SignatureV2, os.Args[0])
	return err
}
