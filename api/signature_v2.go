package api

import (
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/sigv4"
)

// refusal2 tells clients that sign with Version 2, where it is not accepted,
// what they or their operator can change.
func refusal2(use sigv4.Version2Use) string {
	where := "presigned, for URLs and forms, or all"
	if use == sigv4.Version2Presigned {
		where = "all"
	}
	return `This is Signature Version 2: set the client to version 4, in boto3 by Config(signature_version="s3v4"), or the gateway's s3.signature_v2 to ` + where + `.`
}

// checkOpenParameters refuses parameters that select the operation but are not
// signed by Signature Version 2: the holder of a URL could have added one.
func checkOpenParameters(q sigv4.Query) error {
	for _, p := range q {
		if (selecting[p.Name] || p.Name == "id") && !sigv4.SignedByVersion2(p.Name) {
			return s3err.New(s3err.AccessDenied, "Signature Version 2 does not cover the query parameter %s. Please use AWS4-HMAC-SHA256.", p.Name).
				With("ArgumentName", p.Name)
		}
	}
	return nil
}
