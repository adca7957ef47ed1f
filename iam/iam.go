// Package iam is the IAM and STS query APIs: users, groups, roles, policies and
// providers of a tenant, and temporary credentials, in AWS's words. It decides
// every action by package access, keeps nothing itself, and shows a secret in
// the answer that created it and never again.
//
// Sources:
// https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html
// https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
package iam
