// Package iam serves the IAM and STS query APIs: users, groups, roles, policies
// and providers of a tenant, and temporary credentials. Package access decides
// every action. Package iam stores nothing itself. It shows a secret only in
// the answer that created it.
//
// Sources:
// https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html
// https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
package iam
